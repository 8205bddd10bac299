import NetCore

@testable import NextHop

/// Records as data: what a DNS server would say.
struct Zone {
  var answers: [DNSQuestion: DNSAnswer] = [:]

  mutating func a(_ name: String, _ addresses: String..., ttl: UInt32 = 300) {
    let list = addresses.map { IPAddress($0)! }
    answers[DNSQuestion(DNSName(name)!, list.first?.family == .v6 ? .aaaa : .a)] = DNSAnswer(.addresses(list), ttl: ttl)
  }

  mutating func srv(_ name: String, _ records: (UInt16, UInt16, UInt16, String)..., ttl: UInt32 = 300) {
    answers[DNSQuestion(DNSName(name)!, .srv)] = DNSAnswer(
      .services(records.map { ServiceRecord(priority: $0.0, weight: $0.1, port: $0.2, target: DNSName($0.3)) }),
      ttl: ttl)
  }

  mutating func naptr(_ name: String, _ records: (UInt16, UInt16, String, String)..., flags: String = "s") {
    answers[DNSQuestion(DNSName(name)!, .naptr)] = DNSAnswer(
      .names(
        records.map {
          NamingRecord(
            order: $0.0, preference: $0.1, flags: Array(flags.utf8), service: Array($0.2.utf8),
            replacement: DNSName($0.3))
        }), ttl: 300)
  }

  mutating func set(_ name: String, _ kind: DNSQuestion.Kind, _ content: DNSAnswer.Content, ttl: UInt32 = 300) {
    answers[DNSQuestion(DNSName(name)!, kind)] = DNSAnswer(content, ttl: ttl)
  }

  func answer(_ question: DNSQuestion) -> DNSAnswer { answers[question] ?? DNSAnswer(.nothing, ttl: 60) }
}

func reach(_ transports: Transport..., families: [IPAddress.Family] = [.v4]) -> Reach {
  var reach = Reach()
  for transport in transports { for family in families { reach.add(transport, family) } }
  return reach
}
