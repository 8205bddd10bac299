import LuaRuntime
import Testing

@Suite struct PreludeRequestTests {
  private static let fields = LuaValue.record([
    "handle": 9, "context": "internal", "body": "hello", "content_type": "text/plain", "event": "dialog",
    "expires": 600, "from": .record(["user": "1000", "params": .record([:])]), "to": .record(["user": "1001"]),
    "ruri": .record(["user": "1001"]), "source": .record(["ip": "192.0.2.1", "user": "1000"]),
    "headers": .array([.array(["Subject", "a"]), .array(["X-Tag", "1"]), .array(["x-tag", "2"])]),
  ])

  private func run(_ kind: String, _ body: String, answers: [[LuaValue]] = []) throws -> Telephone.Run {
    try Telephone("on.\(kind)(function(req)\n\(body)\nend)").run(kind, [PreludeRequestTests.fields], answers: answers)
  }

  @Test("A request shows what it says, and its verbs ask the host", arguments: ["message", "subscribe"])
  func fields(kind: String) throws {
    let run = try run(
      kind,
      """
      assert(req.from.user == "1000" and req.ruri.user == "1001" and req.source.user == "1000")
      assert(req.headers["SUBJECT"] == "a" and req.headers["X-None"] == nil)
      assert(table.concat(req.headers:all("X-Tag"), ",") == "1,2" and req.source.trunk == nil)
      assert(req.context == "internal")
      return req:reject { status = 480, text = "no", headers = { ["X-A"] = "b" } }
      """)
    #expect(run.failure == nil)
    #expect(
      run.asked == [
        .init(
          op: "request_reject",
          args: [9, .record(["status": 480, "text": "no", "headers": .array([.array(["X-A", "b"])])])])
      ])
  }

  @Test("Each kind has fields of its own")
  func own() throws {
    #expect(try run("message", "assert(req.body == 'hello' and req.content_type == 'text/plain')").failure == nil)
    #expect(try run("subscribe", "assert(req.event == 'dialog' and req.expires == 600)").failure == nil)
  }

  @Test("The verbs of each kind, with what they take")
  func verbs() throws {
    let accept = try run("subscribe", "req:accept { expires = 60 }")
    #expect(accept.asked == [.init(op: "request_accept", args: [9, .record(["expires": 60])])])
    let result = LuaValue.record(["ok": true, "status": 202, "stored": true])
    let deliver = try run(
      "message", "local r = req:deliver { to = 'user/1002' } assert(r.ok and r.stored)", answers: [[result]])
    #expect(deliver.failure == nil)
    #expect(deliver.asked == [.init(op: "request_deliver", args: [9, .record(["to": "user/1002"])])])
    let send = try run("message", "message.send { to = 'user/1', body = 'x' } mwi.set('1', { new = 3 })")
    #expect(send.asked.map(\.op) == ["message_send"])
  }

  @Test(
    "Mistakes with requests",
    arguments: [
      ("subscribe", "req:deliver()", "a subscribe has no field or verb 'deliver'"),
      ("subscribe", "return req.body", "a subscribe has no field or verb 'body'"),
      ("message", "return req.bdy", "a message has no field or verb 'bdy' (did you mean 'body'?)"),
      ("message", "req.body = 1", "req.body cannot be assigned"), ("message", "req.accept()", "req:accept(…)"),
      ("message", "req:accept { status = 201 }", "option 'status' must be 200 or 202, not 201"),
      ("message", "req:reject { status = 200 }", "option 'status' must be from 300 to 699"),
      ("message", "req:deliver { to = '1002' }", "\"1002\" is not a target"),
      ("message", "req.headers['X'] = 1", "cannot be assigned"), ("message", "message.send {}", "`to` is missing"),
      ("message", "message.send { to = 'user/1', from = {} }", "option 'from' must be a table with at least `user`"),
      ("message", "message.sned {}", "message has no 'sned' (did you mean 'send'?)"),
      ("message", "mwi.set(1000, {})", "mwi.set: a user is a name, not 1000"),
      ("message", "mwi.set('1', { nwe = 1 })", "unknown option 'nwe' (did you mean 'new'?)"),
      ("message", "mwi.set('1', { new = -1 })", "option 'new' must be from 0 to 1000000, not -1"),
      ("message", "message = 1", "'message' is a name of the language"),
    ])
  func mistakes(kind: String, body: String, message: String) throws {
    let failure = try #require(try run(kind, body).failure)
    #expect(failure.message.contains(message), "\(failure.message)")
  }

  @Test("on_dtmf: every function hears every digit, in order")
  func digits() throws {
    let telephone = try Telephone(
      invite: """
        call:on_dtmf(function(d, info, c) log.info("one", { d = d, side = info.side, own = c == call }) end)
        call:on_dtmf(function(d) log.info("two", { d = d }) end)
        """)
    #expect(telephone.invite().failure == nil)
    let run = telephone.run("digit", [7, "5", .record(["side": "caller", "duration": 0.1])])
    #expect(run.failure == nil)
    #expect(telephone.reports == [.record(["d": "5", "side": "caller", "own": true]), .record(["d": "5"])])
    #expect(try Telephone.failure("call:on_dtmf(1)").contains("its argument must be a function"))
  }
}
