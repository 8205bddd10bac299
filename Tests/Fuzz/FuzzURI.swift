import NetCore
import SIPMessage

/// URIs, and the name-addr around them.
func fuzzURI(_ input: [UInt8]) {
  if let uri = try? URI(parsing: input[...]) { check(uri, input) }
  guard let address = try? NameAddress(parsing: input[...]) else { return }
  _ = (address.displayName, address.tag, address.qValue, address.parameter("expires"))
  guard let inside = try? URI(parsing: address.uri.bytes) else {
    fatalError("the URI of an address is none: \(text(address.uri.bytes))")
  }
  check(inside, Array(address.uri.bytes))
}

private func check(_ uri: URI, _ octets: [UInt8]) {
  require(uri.bytes.elementsEqual(octets), "a URI is its octets")
  require(uri.isEquivalent(to: uri), "a URI is equal to itself: \(text(octets))")
  guard let again = try? URI(parsing: Array(uri.bytes)[...]) else { fatalError("a URI parses again") }
  require(again.aorKey == uri.aorKey && again.port == uri.port, "the same URI twice")
  require(uri.isEquivalent(to: again) && again.isEquivalent(to: uri), "equality is mutual: \(text(octets))")
  _ = (uri.decodedUser, uri.password, uri.transport, uri.headersPart, uri.parameter("transport"), uri.schemeName)
  if let ip = IPAddress(bytes: uri.host) {
    require(IPAddress(ip.description) == ip, "an address is read as it was written: \(ip)")
  }
  // What goes into a message as Request-URI comes out as it was.
  guard uri.headersPart == nil, octets.count < 2000 else { return }
  var writer = MessageWriter()
  writer.requestLine(.options, uri: uri.bytes)
  writer.append("Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\n")
  writer.append("CSeq: 1 OPTIONS\r\n")
  writer.finish()
  guard let message = try? MessageParser.parse(writer.bytes, flow: peerFlow) else {
    fatalError("a URI that parses is refused in a request line: \(text(octets))")
  }
  require(message.requestURI.bytes.elementsEqual(octets), "the Request-URI is what was written")
}
