import LuaRuntime
import Testing

@Suite struct PreludeTransferTests {
  static let target = LuaValue.record(["user": "1003", "uri": "sip:1003@x", "by": "callee", "attended": false])

  static let verdicts: [(String, [LuaValue])] = [
    ("", ["go"]), ("return nil", ["go"]), ("return true", ["go"]), ("return false", ["refuse", 603]),
    ("return 'pass'", ["pass"]), ("return '1005'", ["redirect", "1005"]),
    ("return 'sip:a@b'", ["redirect", "sip:a@b"]),
    ("return { status = 403, text = 'No' }", ["refuse", 403, "No"]), ("return { status = 404 }", ["refuse", 404]),
    ("return target.user .. (target.attended and 'a' or 'b')", ["redirect", "1003b"]),
  ]

  @Test("What on.refer returns is a verdict for the host", arguments: verdicts)
  func verdict(body: String, args: [LuaValue]) throws {
    let phone = try Telephone("on.invite(print)\non.refer(function(call, target)\n\(body)\nend)")
    let run = phone.run("refer", [7, false, Self.target])
    #expect(run.failure == nil && run.asked.map(\.op) == ["refer_decided"])
    #expect(run.asked.first.map { $0.args.prefix(1 + args.count) == [7] + args } == true, "\(run.asked)")
  }

  @Test(
    "What it may not return is an error, and nothing is decided",
    arguments: [
      "return 5", "return {}", "return { status = 200 }", "return 'a b'", "return '<sip:x>'", "return target.nme",
    ])
  func wrong(body: String) throws {
    let phone = try Telephone("on.invite(print)\non.refer(function(call, target)\n\(body)\nend)")
    let run = phone.run("refer", [7, false, Self.target])
    #expect(run.failure != nil && run.asked.isEmpty)
  }

  @Test("on_refer of a dial: \"pass\" goes to the host, a function stays and is asked")
  func dial() throws {
    let pass = try Telephone(invite: "call:dial('user/1', { on_refer = 'pass' })").invite()
    #expect(pass.asked.first?.args.last == .record(["on_refer": "pass"]))
    let phone = try Telephone(invite: "call:dial('user/1', { on_refer = function(call, target) return '9' end })")
    #expect(phone.invite().asked.first?.args.last == .record(["on_refer": "ask"]))
    #expect(phone.run("refer", [7, true, Self.target]).asked.first?.args.prefix(3) == [7, "redirect", "9"])
    #expect(try Telephone.failure("call:dial('user/1', { on_refer = 'go' })").contains("\"pass\" or a function"))
  }

  @Test("call:refer asks the host and returns a result")
  func verb() throws {
    let body =
      "local r, e = call:refer('1002', { timeout = 5 }) log.info('r', { v = r and r.ok and r.status or e.kind })"
    let phone = try Telephone(invite: body)
    let run = phone.invite(answers: [[.record(["ok": true, "status": 200, "cause": 16])]])
    #expect(run.asked == [.init(op: "refer", args: [7, "1002", .record(["timeout": 5])])])
    #expect(phone.reports == [.record(["v": 200])])
    for bad in [
      "call:refer()", "call:refer('')", "call:refer('a b')", "call:refer('1', { timeout = 0 })", "call:refer(5)",
    ] {
      #expect(try Telephone.failure(bad).hasPrefix("dialplan.lua:2:"), "\(bad)")
    }
  }

  @Test("A call that a transfer made begins with the variables of the call before")
  func variables() throws {
    let phone = try Telephone(invite: "log.info('v', { v = call.vars.account, n = call.transferred_by })")
    phone.world.fields["vars"] = .record(["account": "acme"])
    phone.world.fields["transferred_by"] = "1001"
    #expect(phone.invite().failure == nil && phone.reports == [.record(["v": "acme", "n": "1001"])])
  }
}
