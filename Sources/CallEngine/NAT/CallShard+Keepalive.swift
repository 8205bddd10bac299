import Logging
import NetCore
import SIPMessage
import SIPTransaction

// Phones behind NAT stay reachable as long as something goes to them before the NAT forgets.
extension CallShard {
  /// With each generation: the interval may be new.
  func startKeepalives() {
    guard shard == 0, !keepalives.isArmed, settings.keepalive.interval > .zero else { return }
    keepalives.isArmed = true
    armKeepalives(after: Keepalives.turn(users: services.bindings.counts.users))
  }

  private func armKeepalives(after turn: Instant.Span) {
    _ = wheel.arm(TimerToken(kind: 15, which: 0, slot: 0, generation: 0), at: now + turn)
  }

  func keepaliveTurn() {
    guard settings.keepalive.interval > .zero else {
      keepalives = Keepalives()
      return
    }
    let users = services.bindings.counts.users
    let turn = Keepalives.turn(users: users)
    armKeepalives(after: turn)
    let count = keepalives.take(users: users, turn: turn, interval: settings.keepalive.interval)
    // Of bindings that have ended otherwise.
    if keepalives.failures.count > users { keepalives.failures.removeAll() }
    guard count > 0 else { return }
    let seconds = services.wallClock() / 1000
    for (user, bindings) in services.bindings.next(count, from: &keepalives.cursor) {
      for binding in bindings where binding.expires > seconds && binding.isBehindNAT { keepAlive(binding, of: user) }
    }
  }

  private func keepAlive(_ binding: Binding, of user: [UInt8]) {
    switch settings.keepalive.method {
    case .crlf:
      // On a stream it is the phone that pings (RFC 5626 §4.4.1).
      guard binding.flow.transport == .udp else { return }
      table.outbox.append(Outgoing(bytes: Keepalives.ping, flow: binding.flow))
    case .options:
      probe(binding, of: user)
    }
  }

  /// Any answer will do: it lives. Where there is none again and again the binding is over, as calls to it would be.
  private func probe(_ binding: Binding, of user: [UInt8]) {
    let ours = Array("<sip:\(settings.domain)>;tag=".utf8) + mint(slot: CallShard.noSlot, generation: 0).hex
    var request = OwnRequest(
      method: .options, flow: binding.flow, requestURI: Array(binding.contact), from: ours,
      to: [UInt8(ascii: "<")] + binding.contact + [UInt8(ascii: ">")], callID: mintCallID())
    request.hasContact = true
    let name = user + [0] + binding.contact
    send(
      request,
      done: { [unowned self] status, response in
        if response != nil || status < 300 {
          if !keepalives.failures.isEmpty { keepalives.failures[name] = nil }
          return
        }
        let failures = keepalives.failures[name, default: 0] + 1
        guard failures >= Keepalives.mostFailures else {
          keepalives.failures[name] = failures
          return
        }
        keepalives.failures[name] = nil
        let changes = services.bindings.remove(user: user, binding)
        guard !changes.isEmpty else { return }
        services.journal.record(changes)
        services.logger.info(
          "a phone behind NAT answers no OPTIONS; its binding is removed",
          metadata: ["user": "\(String(decoding: user, as: UTF8.self))", "address": "\(binding.flow.remote)"])
      })
  }
}
