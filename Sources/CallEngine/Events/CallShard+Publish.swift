import NetCore
import SIPMessage
import SIPTransaction

// PUBLISH (RFC 3903 §6): a device tells whether its user can be had. What it says is kept in memory only.
extension CallShard {
  func publish(_ id: ServerTransactionID, _ message: Message) {
    if isDraining { return reply(id, message, 503) { $0.header(.retryAfter, number: 5) } }
    guard EventPackage(event: message.first(.event)) == .presence else {
      return reply(id, message, 489) { $0.header(.allowEvents, "presence" as StaticString) }
    }
    guard let admitted = admit(id, message) else { return }
    guard let user = watched(message) else { return reply(id, message, 404) }
    // Of himself, and nobody else.
    guard let account = admitted.account, account.octets == user.octets else { return reply(id, message, 403) }
    guard let seconds = settings.events.granted(message.expiresSeconds) else { return tooBrief(id, message) }
    var state: PublishedState?
    if !message.body.isEmpty {
      guard let read = published(id, message) else { return }
      state = read
    }
    let known = message.unnamed("SIP-If-Match").map { Array($0) }
    guard known != nil || state != nil else { return reply(id, message, 400, "Nothing Published") }
    let nowSeconds = services.wallClock() / 1000
    let tag = Array(String(random.next(), radix: 16).utf8)
    let hub = services.events.hub
    let isKnown = hub.publish(account.octets, nowSeconds: nowSeconds) { list in
      var publication = Publication(
        tag: tag, expires: nowSeconds + Int64(seconds), state: state ?? PublishedState())
      if let known {
        guard let index = list.firstIndex(where: { $0.tag == known }) else { return false }
        if state == nil { publication.state = list[index].state }
        list.remove(at: index)
      }
      if seconds > 0 { list.append(publication) }
      return true
    }
    guard isKnown else { return reply(id, message, 412) }
    reply(id, message, 200) { writer in
      writer.header(name: Array("SIP-ETag".utf8)[...], value: tag[...])
      writer.header(.expires, number: seconds)
    }
    armSweep()
    hub.changed(account.octets, peers: services.peers)
  }

  /// What the body says; nil where that was answered.
  private func published(_ id: ServerTransactionID, _ message: Message) -> PublishedState? {
    let type = (message.contentType ?? []).prefix { $0 != UInt8(ascii: ";") }.trimmedBlanks.map(\.asciiLower)
    guard type.elementsEqual(EventPackage.presence.contentType.description.utf8), !message.has(.contentEncoding) else {
      reply(id, message, 415) { $0.header(.accept, EventPackage.presence.contentType) }
      return nil
    }
    guard message.body.count <= EventSettings.longestDocument else {
      reply(id, message, 413)
      return nil
    }
    do {
      return try PublishedState(parsing: message.body)
    } catch {
      reply(id, message, 400, "Malformed Presence Document")
      return nil
    }
  }
}
