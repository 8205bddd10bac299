import NetCore
import SIPMessage

/// One datagram. What is parsed and written again says the same, and a second round changes nothing; what is refused is
/// answered with something that parses.
func fuzzMessage(_ input: [UInt8]) {
  let verdict = MessageSkim.route(input, key: (1, 2), shards: 4)
  let message: Message
  do throws(ParseFailure) {
    message = try MessageParser.parse(input, flow: peerFlow)
  } catch {
    guard let reply = error.reply else { return }
    require((400...699).contains(error.error.status), "a refusal has a status: \(error.error)")
    checkRefusal(reply)
    return
  }
  readEverything(of: message)
  // Room for a Content-Length that was not there.
  guard input.count < 32_000 else { return }
  let once = written(message)
  guard let again = try? MessageParser.parse(once, flow: peerFlow) else {
    fatalError("what was parsed and written does not parse: \(text(once))")
  }
  require(same(message, again), "parse, write, parse: \(text(once))")
  require(written(again) == once, "write, parse, write: \(text(once))")
  require(MessageSkim.route(once, key: (1, 2), shards: 4) == verdict, "the skim sees another shard: \(text(once))")
  if message.isRequest { checkResponse(to: message) }
}

/// Every field as it came, but Content-Length.
private func written(_ message: Message) -> [UInt8] {
  var writer = MessageWriter()
  if message.isRequest {
    writer.requestLine(name: message.methodName, uri: message.requestURI.bytes)
  } else {
    writer.statusLine(message.status, text(message.reasonPhrase))
  }
  for line in message.headers where line.name != .contentLength { writer.copy(line) }
  writer.finish(body: message.body)
  return writer.bytes
}

private func same(_ a: Message, _ b: Message) -> Bool {
  a.isRequest == b.isRequest && a.methodName.elementsEqual(b.methodName) && a.status == b.status
    && a.requestURI.bytes.elementsEqual(b.requestURI.bytes) && a.callID.elementsEqual(b.callID) && a.cseq == b.cseq
    && a.via.bytes.elementsEqual(b.via.bytes) && a.from.bytes.elementsEqual(b.from.bytes)
    && a.to.bytes.elementsEqual(b.to.bytes) && a.maxForwards == b.maxForwards && a.body.elementsEqual(b.body)
    && a.hasOneVia == b.hasOneVia
}

private func checkResponse(to request: Message) {
  var writer = MessageWriter.response(to: request, status: 500, toTag: Array("ours".utf8)[...])
  writer.finish()
  guard writer.bytes.count < 32_000 else { return }
  guard let response = try? MessageParser.parse(writer.bytes, flow: peerFlow) else {
    fatalError("the response to a good request does not parse: \(text(writer.bytes))")
  }
  require(response.status == 500 && response.cseq == request.cseq, "a response names its request")
  require(response.methodName.elementsEqual(request.methodName), "the method of CSeq")
  require(response.callID.elementsEqual(request.callID), "the Call-ID of a response")
  require(response.fromTag.map(Array.init) == request.fromTag.map(Array.init), "the From tag of a response")
  require(response.toTag != nil, "the To tag of a response")
  require(response.via.branch.map(Array.init) == request.via.branch.map(Array.init), "the branch of a response")
}

/// A stateless refusal repeats what could not be read, so it need not parse; its lines must be ours to end.
private func checkRefusal(_ reply: [UInt8]) {
  require(reply.starts(with: Array("SIP/2.0 ".utf8)), "a refusal is a response")
  require(reply.suffix(4) == [13, 10, 13, 10], "a refusal has an end")
  var ends = 0
  for (i, octet) in reply.enumerated() {
    if octet == 0x0a {
      require(i > 0 && reply[i - 1] == 0x0d, "LF without CR in a refusal")
      if i >= 3, reply[i - 2] == 0x0a { ends += 1 }
    } else if octet == 0x0d {
      require(i + 1 < reply.count && reply[i + 1] == 0x0a, "CR without LF in a refusal")
    }
  }
  require(ends == 1, "a refusal has one empty line: \(text(reply))")
}

private func readEverything(of m: Message) {
  _ = (m.responseFlow, m.responseHeadSize, m.hasOneVia)
  let uri = m.requestURI
  _ = (uri.decodedUser, uri.password, uri.host, uri.aorKey, uri.headersPart, uri.transport, uri.parameter("lr"))
  _ = (m.via.sentBy, m.via.received, m.via.maddr, m.via.parameter("x"))
  for name in HeaderName.allCases {
    _ = (m.values(name), m.all(name), m.size(of: name), m.hasToken("timer", in: name))
    _ = try? m.oneAddress(name)
    guard let addresses = try? m.addresses(name) else { continue }
    for address in addresses {
      _ = (address.displayName, address.qValue, address.parameter("expires"), address.uri.isEquivalent(to: uri))
    }
  }
  for line in m.headers { _ = (line.unfolded, line.nameBytes) }
}
