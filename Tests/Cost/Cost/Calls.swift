import NetCore

/// The phones: whole calls and registrations, one after the other.
final class Calls {
  let meter: Meter
  private let users: ClosedRange<Int>
  /// 100 calls a second, each held for 0.1 s: transactions of the last 32 s linger, as in a running server.
  let pace = Instant.Span.milliseconds(10)

  init(users: ClosedRange<Int> = 1000...1999, dialplan: String = Server.dialplan) {
    self.users = users
    meter = Meter(users: users, dialplan: dialplan)
  }

  private func expect(_ condition: Bool, _ what: String) {
    if !condition { fatalError("\(what); sent: \(meter.sent.map { String(decoding: $0.bytes, as: UTF8.self) })") }
  }

  /// How many calls are up before the first is ended; nil: none is.
  var keeps: Int? = 10
  private var held: [(n: Int, cseq: Int, ok: [Substring], ack: [Substring])] = []

  func call(_ n: Int, from: Endpoint, authenticates: Bool) {
    var cseq = 1
    meter.receive(Texts.invite(n, from: from), from: from)
    if authenticates {
      let challenge = meter.lines(to: from).last!
      expect(challenge[0].contains("407"), "no challenge")
      meter.receive(Texts.follow("ACK", n, cseq: 1, from: from, response: challenge, branch: 1), from: from)
      cseq = 2
      let value = Texts.authorization(
        Texts.header("Proxy-Authenticate", in: challenge)!, user: 1000, method: "INVITE",
        uri: "sip:1001@127.0.0.1:5060", n: n)
      meter.receive(Texts.invite(n, from: from, cseq: 2, authorization: value), from: from)
    }
    let invite = meter.lines(to: Server.callee)
    expect(invite.count == 1, "no INVITE on the second leg")
    meter.receive(Texts.answer("180 Ringing", to: invite[0], tag: "b\(n)"), from: Server.callee)
    expect(meter.lines(to: from).first?[0].contains("180") ?? false, "no 180")
    meter.receive(Texts.answer("200 OK", to: invite[0], tag: "b\(n)", sdp: true), from: Server.callee)
    let ok = meter.lines(to: from).first ?? []
    expect(ok.first?.contains("200") ?? false, "no 200")
    let ack = meter.lines(to: Server.callee).first ?? []
    expect(ack.first?.hasPrefix("ACK") ?? false, "no ACK")
    meter.receive(Texts.follow("ACK", n, cseq: cseq, from: from, response: ok, branch: 7), from: from)
    guard let keeps else { return }
    held.append((n, cseq, ok, ack))
    guard held.count > keeps else { return }
    let old = held.removeFirst()
    meter.receive(
      Texts.follow("BYE", old.n, cseq: old.cseq + 1, from: from, response: old.ok, branch: 8), from: from)
    let bye = meter.lines(to: Server.callee)
    expect(bye.first?[0].hasPrefix("BYE") ?? false, "no BYE")
    meter.receive(Texts.answer("200 OK", to: bye[0], tag: nil), from: Server.callee)
  }

  /// The callee of the INVITE that came last is busy.
  func refuse() {
    guard let invite = meter.lines(to: Server.callee).first(where: { $0[0].hasPrefix("INVITE") }) else {
      fatalError("no INVITE on the second leg")
    }
    meter.receive(Texts.answer("486 Busy Here", to: invite, tag: "b"), from: Server.callee)
  }

  func register(_ n: Int) {
    let user = users.lowerBound + n % users.count
    meter.receive(Texts.register(n, user: user, cseq: 1), from: Server.stranger)
    let challenge = meter.lines(to: Server.stranger).last!
    expect(challenge[0].contains("401"), "no challenge")
    let value = Texts.authorization(
      Texts.header("WWW-Authenticate", in: challenge)!, user: user, method: "REGISTER", uri: "sip:nightjar.test", n: n)
    meter.receive(Texts.register(n, user: user, cseq: 2, authorization: value), from: Server.stranger)
    expect(meter.lines(to: Server.stranger).last?[0].contains("200") ?? false, "no 200")
  }
}
