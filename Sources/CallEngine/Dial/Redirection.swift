import NetCore
import SIPDialog
import SIPMessage

/// The 3xx responses that a dial follows, and how far (RFC 3261 §8.1.3.4): every place once, so that two phones that
/// send each other our call end it, and no more of them than the script allows.
struct Redirection {
  /// Contacts that may still be followed.
  private(set) var left: Int
  /// Places that were rung or are to be.
  private var seen: Set<[UInt8]> = []

  /// Of one response.
  static let mostContacts = 10
  static let longestContact = 512

  init(limit: Int) { left = limit }

  /// A place that rings; a redirection back to it is a loop.
  mutating func note(_ target: DialTarget) {
    if let key = Redirection.key(target) { seen.insert(key) }
  }

  /// False for a place that had its turn, and when enough were followed.
  mutating func takes(_ target: DialTarget) -> Bool {
    guard left > 0, let key = Redirection.key(target), seen.insert(key).inserted else { return false }
    left -= 1
    return true
  }

  private static func key(_ target: DialTarget) -> [UInt8]? {
    switch target.place {
    case .user(let user), .binding(let user, _): Array("user/".utf8) + user
    case .uri(let bytes): (try? URI(parsing: bytes[...])).map { $0.aorKey + Array(":\($0.port ?? 5060)".utf8) }
    case .trunk: nil
    }
  }

  /// Contacts of a 3xx by `q`, those of one `q` in their order; SIP URIs only, without the headers that they may name
  /// (`?Route=` would have us relay, §19.1.5).
  static func contacts(of message: Message) -> [(uri: [UInt8], q: Int)] {
    guard let addresses = try? message.addresses(.contact) else { return [] }
    var list: [(uri: [UInt8], q: Int)] = []
    for address in addresses.prefix(mostContacts) {
      let uri = address.uri
      guard uri.scheme == .sip || uri.scheme == .sips, uri.bytes.count <= longestContact else { continue }
      let end = uri.headersPart.map { $0.startIndex - 1 } ?? uri.bytes.endIndex
      let bytes = Array(uri.bytes[..<end])
      if !list.contains(where: { $0.uri == bytes }) { list.append((bytes, address.qValue ?? 1000)) }
    }
    // Not sorted by `sort`, which may change the order of equals.
    return list.enumerated().sorted { ($1.element.q, $0.offset) < ($0.element.q, $1.offset) }.map(\.element)
  }
}

extension CallShard {
  /// A callee's 3xx. Its contacts are noted for the script; where the script allows it they ring instead of him.
  /// - Returns: true where they do.
  func redirected(_ leg: Leg, _ message: Message) -> Bool {
    let contacts = Redirection.contacts(of: message)
    let call = leg.call
    if let attempt = leg.attempt { call.attempts[attempt].contacts = contacts.map(\.uri) }
    guard !contacts.isEmpty, !leg.isCancelled, let dial = call.dial, dial.stage == .ringing, let leaf = leg.leaf,
      let target = dial.tree.target(of: leaf)
    else { return false }
    let forwarding = Forwarding(of: target, by: leg, message, domain: settings.domain)
    dial.forwarding = forwarding
    let before = target.forwardings.isEmpty ? call.forwardings : target.forwardings
    guard dial.redirection != nil, before.count + forwardedBefore(call) < Forwarding.most else { return false }
    var groups: [(q: Int, shapes: [DialTree.Shape])] = []
    for contact in contacts {
      var next = target
      guard let place = redirectPlace(contact.uri, dial) else { continue }
      next.place = place
      next.name = contact.uri
      next.delay = nil
      next.forwardings = before + [forwarding]
      guard dial.redirection?.takes(next) == true else { continue }
      if groups.last?.q == contact.q {
        groups[groups.count - 1].shapes.append(.target(next))
      } else {
        groups.append((contact.q, [.target(next)]))
      }
    }
    guard !groups.isEmpty else { return false }
    ended(leg)
    dial.ringing.removeAll { $0 === leg }
    dial.ringback.failed(leg: Int(leg.token.slot))
    let steps = groups.map { $0.shapes.count == 1 ? $0.shapes[0] : DialTree.Shape.parallel($0.shapes) }
    perform(dial.tree.expand(leaf, into: steps.count == 1 ? steps : [.sequence(steps, failover: .any)]), call, dial)
    return true
  }

  /// How often others have sent the call on before it came here, as far as they are believed.
  private func forwardedBefore(_ call: Call) -> Int {
    call.invite.has(.diversion) && isTrusted(call) ? DiversionHeader.count(in: call.invite) : 0
  }

  /// Where a contact leads: to a user of ours, or, if the script says so, to whoever it names.
  private func redirectPlace(_ bytes: [UInt8], _ dial: Dial) -> DialTarget.Place? {
    guard let uri = try? URI(parsing: bytes[...]) else { return nil }
    if isOwn(uri), isOurPort(uri) {
      guard let user = uri.decodedUser, directory.user(user[...]) != nil else { return nil }
      return .user(user)
    }
    return dial.options.redirectsAnywhere ? .uri(bytes) : nil
  }
}
