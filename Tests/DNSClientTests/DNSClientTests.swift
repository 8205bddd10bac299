import Testing

@testable import DNSClient
