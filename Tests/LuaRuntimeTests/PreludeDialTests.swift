import LuaRuntime
import Testing

@Suite struct PreludeDialTests {
  private static func target(_ text: String, _ more: KeyValuePairs<String, LuaValue>? = nil) -> LuaValue {
    guard let more else { return .text(text) }
    return .table(
      [(key: "kind", value: "target"), (key: "target", value: .text(text))]
        + more.map { (key: .text($0.key), value: $0.value) })
  }
  private static func list(_ kind: String, _ nodes: [LuaValue], _ more: KeyValuePairs<String, LuaValue> = [:])
    -> LuaValue
  {
    .table(
      [(key: "kind", value: .text(kind)), (key: "list", value: .array(nodes))]
        + more.map { (key: .text($0.key), value: $0.value) })
  }

  static let trees: [(String, LuaValue)] = [
    ("'user/1001'", target("user/1001")),
    ("'trunk/alpha/+4930123'", target("trunk/alpha/+4930123")),
    ("'sip:bob@example.org;transport=tcp'", target("sip:bob@example.org;transport=tcp")),
    ("'sips:bob@example.org'", target("sips:bob@example.org")),
    ("{'user/1001'}", target("user/1001")),
    ("{'user/1', 'user/2'}", list("parallel", [target("user/1"), target("user/2")])),
    ("{'user/1', timeout=5, delay=0.5}", target("user/1", ["timeout": 5, "delay": 0.5])),
    (
      "{'user/1', headers={['X-A']='1'}, remove={'Via'}, from='1000', pai={user='a', host='b', x=1}, privacy='id', codecs={'PCMA'}}",
      target(
        "user/1",
        [
          "headers": .array([.array(["X-A", "1"])]), "remove": .array(["Via"]), "from": "1000",
          "pai": .record(["user": "a", "host": "b"]), "privacy": "id", "codecs": .array(["PCMA"]),
        ])
    ),
    ("seq{'user/1', 'user/2'}", list("seq", [target("user/1"), target("user/2")])),
    ("seq{'user/1'}", list("seq", [target("user/1")])),
    (
      "seq{{'user/1', 'user/2'}, {'trunk/a/9', timeout=3}, failover_on={408, 'timeout'}, stop_on=486}",
      list(
        "seq", [list("parallel", [target("user/1"), target("user/2")]), target("trunk/a/9", ["timeout": 3])],
        ["failover_on": .array([408, "timeout"]), "stop_on": .array([486])])
    ),
    (
      "{seq{'user/1', 'user/2'}, 'user/3'}",
      list("parallel", [list("seq", [target("user/1"), target("user/2")]), target("user/3")])
    ),
  ]

  static let hunts: [(String, LuaValue)] = [
    (
      "hunt{'trunk/a/9', {'trunk/b/9', weight=3}, strategy='weighted'}",
      list(
        "hunt", [target("trunk/a/9"), target("trunk/b/9")],
        ["strategy": "weighted", "weights": .array([1, 3])])
    ),
    (
      "hunt{{'trunk/a/9', weight=0, timeout=5}, strategy='round_robin', failover_on={503}}",
      list(
        "hunt", [target("trunk/a/9", ["timeout": 5])],
        ["strategy": "round_robin", "failover_on": .array([503]), "weights": .array([0])])
    ),
    (
      "seq{hunt{{seq{'user/1', 'user/2'}, weight=2}, {'user/3', 'user/4', weight=5}, strategy='least_calls'}, 'user/5'}",
      list(
        "seq",
        [
          list(
            "hunt",
            [
              list("seq", [target("user/1"), target("user/2")]),
              list("parallel", [target("user/3"), target("user/4")]),
            ], ["strategy": "least_calls", "weights": .array([2, 5])]),
          target("user/5"),
        ])
    ),
  ]

  @Test("hunt{…} becomes a node with the weights of its members", arguments: hunts)
  func hunt(targets: String, node: LuaValue) throws {
    let run = try Telephone(invite: "return call:dial(\(targets))").invite(answers: [[.record(["ok": true])]])
    #expect(run.failure == nil)
    #expect(run.asked == [.init(op: "dial", args: [7, node, .array([])])])
  }

  @Test("Targets become a tree", arguments: trees)
  func tree(targets: String, node: LuaValue) throws {
    let run = try Telephone(invite: "return call:dial(\(targets))").invite(answers: [[.record(["ok": true])]])
    #expect(run.failure == nil)
    #expect(run.asked == [.init(op: "dial", args: [7, node, .array([])])])
  }

  static let options: [(String, LuaValue)] = [
    ("{timeout=20}", .record(["timeout": 20])),
    ("{ringback='180'}", .record(["ringback": "180"])),
    ("{ringback=180}", .record(["ringback": "180"])),
    ("{ringback='passthrough', tone='de'}", .record(["ringback": "passthrough", "tone": "de"])),
    (
      "{ringback={play='summer.wav', loop=true, until_media=true}}",
      .record(["ringback": .record(["play": .array(["summer.wav"]), "loop": true, "until_media": true])])
    ),
    (
      "{ringback={play={'a', 'b'}}}",
      .record(["ringback": .record(["play": .array(["a", "b"]), "loop": false, "until_media": false])])
    ),
    (
      "{failover_on={408, 500, 502, 503, 'timeout', 'unreachable'}, stop_on={'6xx'}}",
      .record(["failover_on": .array([408, 500, 502, 503, "timeout", "unreachable"]), "stop_on": .array(["6xx"])])
    ),
    (
      "{max_duration=3600, rtp_timeout=0, no_progress_after=4, early_media='first', after_bridge='continue'}",
      .record([
        "max_duration": 3600, "rtp_timeout": 0, "no_progress_after": 4, "early_media": "first",
        "after_bridge": "continue",
      ])
    ),
    (
      "{timeout=0.5, ringback='tone', early_media='none'}",
      .record(["timeout": 0.5, "ringback": "tone", "early_media": "none"])
    ),
    ("{timeout=20, ringback=180}", .record(["timeout": 20, "ringback": "180"])),
    ("{}", .array([])),
    ("{headers={['X-Tenant']='a'}}", .record(["headers": .array([.array(["X-Tenant", "a"])])])),
  ]

  @Test("Options of dial", arguments: options)
  func option(text: String, options: LuaValue) throws {
    let run = try Telephone(invite: "call:dial('user/1', \(text))").invite(answers: [[.record(["ok": true])]])
    #expect(run.failure == nil)
    #expect(run.asked.first?.args.last == options)
  }

  static let mistakes: [(String, String)] = [
    ("call:dial()", "call:dial: no target (nil)"),
    ("call:dial(nil, {})", "call:dial: no target (nil)"),
    (
      "call:dial('usr/1')",
      "call:dial: \"usr/1\" is not a target: \"user/NAME\", \"trunk/NAME/NUMBER\" or \"sip:…\" (did you mean 'user'?)"
    ),
    ("call:dial('1001')", "call:dial: \"1001\" is not a target"),
    ("call:dial('user:1001')", "call:dial: \"user:1001\" is not a target"),
    ("call:dial('trunk/alpha')", "call:dial: \"trunk/alpha\" names no number: \"trunk/NAME/NUMBER\""),
    ("call:dial(1001)", "call:dial: a target is a string, a table, seq{…} or hunt{…}, not 1001"),
    ("call:dial({})", "call:dial: a list without a target"),
    ("call:dial(seq{})", "call:dial: a seq without a target"),
    ("call:dial({'user/1', 'user/2', timeout=5})", "call:dial: option 'timeout' stands in a list of targets"),
    ("call:dial({timeout=5})", "call:dial: option 'timeout' stands in a list of targets"),
    ("call:dial({'user/1', timout=5})", "call:dial: target: unknown option 'timout' (did you mean 'timeout'?)"),
    ("call:dial({'user/1', confirm=print})", "call:dial: target: option 'confirm' comes with a later release"),
    ("call:dial({'user/1', codecs=1})", "call:dial: target: option 'codecs' must be a list of strings, not 1"),
    (
      "call:dial({'user/1', from=1})",
      "option 'from' must be a number, a URI or a table of user, host and display, not 1"
    ),
    ("call:dial(seq{'user/1', timeout=5})", "seq: unknown option 'timeout'"),
    ("call:dial(seq 'user/1')", "seq takes a list of targets, not \"user/1\""),
    (
      "call:dial(hunt{'user/1'})",
      "hunt: strategy is \"weighted\", \"round_robin\" or \"least_calls\", and there is none"
    ),
    ("call:dial(hunt{strategy='weighted'})", "call:dial: a hunt without a target"),
    (
      "call:dial(hunt{'user/1', strategy='random'})",
      "hunt: option 'strategy' must be \"weighted\", \"round_robin\" or \"least_calls\", not \"random\""
    ),
    ("call:dial(hunt{'user/1', wait=1})", "hunt: unknown option 'wait'"),
    (
      "call:dial(hunt{{'user/1', weight=-1}, strategy='weighted'})",
      "call:dial: hunt: weight is an integer from 0 to 1000000, not -1"
    ),
    ("call:dial({'user/1', weight=2})", "call:dial: target: unknown option 'weight'"),
    ("call:dial(hunt 'user/1')", "hunt takes a list of targets, not \"user/1\""),
    ("call:dial(call)", "call:dial: a call is no target"),
    ("local t = 'user/1' for _ = 1, 9 do t = {t, t} end call:dial(t)", "call:dial: targets nest deeper than 8"),
    ("local t = {} for i = 1, 65 do t[i] = 'user/1' end call:dial(t)", "call:dial: more than 64 targets"),
    ("call:dial('user/1', {timout=5})", "call:dial: unknown option 'timout' (did you mean 'timeout'?)"),
    ("call:dial('user/1', 20)", "call:dial takes a table of options, not 20"),
    ("call:dial('user/1', {timeout='20'})", "call:dial: option 'timeout' must be a number of seconds, not \"20\""),
    ("call:dial('user/1', {timeout=0/0})", "call:dial: option 'timeout' must be a number of seconds"),
    ("call:dial('user/1', {[0/1]=1})", "call:dial takes named options, not a list"),
    ("call:dial('user/1', {timeout=5, 1})", "call:dial takes named options, not a list"),
    ("call:dial('user/1', {timeout=0})", "call:dial: option 'timeout' must be more than 0, not 0"),
    ("call:dial('user/1', {record=true})", "call:dial: option 'record' comes with a later release"),
    ("call:dial('user/1', {on_answer=print})", "call:dial: option 'on_answer' comes with a later release"),
    ("call:dial('user/1', {ringback='tones'})", "(did you mean 'tone'?)"),
    ("call:dial('user/1', {ringback={file='x'}})", "call:dial: unknown option 'file' of ringback"),
    (
      "call:dial('user/1', {ringback={loop=true}})",
      "option 'ringback' must be a table whose `play` is a file or a list of files"
    ),
    (
      "call:dial('user/1', {ringback={play='x', loop=1}})",
      "option 'ringback' must be a table whose `loop` is true or false"
    ),
    ("call:dial('user/1', {failover_on={200}})", "option 'failover_on' must be a list of statuses (300 to 699)"),
    ("call:dial('user/1', {failover_on={'timout'}})", "option 'failover_on' must be a list of statuses"),
    ("call:dial('user/1', {early_media='all'})", "option 'early_media' must be \"none\" or \"first\", not \"all\""),
    ("call:dial('user/1', {bridge=false})", "option 'bridge' comes with a later release"),
  ]

  @Test("Mistakes in a dial", arguments: mistakes)
  func wrong(body: String, message: String) throws {
    let failure = try Telephone.failure("return \(body.hasPrefix("local") ? "(function() \(body) end)()" : body)")
    #expect(failure.hasPrefix("dialplan.lua:2: ") && failure.contains(message), "\(failure)")
  }

  @Test("The result is always a table with ok, and a misspelt field of it is an error") func result() throws {
    let body = """
      local r = call:dial("user/1")
      log.info("x", { ok = r.ok, status = r.status, by = r.by, cause = tostring(r.cause) })
      return r.stauts
      """
    let answers: [([LuaValue], LuaValue)] = [
      ([.record(["ok": true, "status": 200])], .record(["ok": true, "status": 200, "cause": "nil"])),
      (
        [.record(["status": 486, "by": "remote"])],
        .record(["ok": false, "status": 486, "by": "remote", "cause": "nil"])
      ),
      ([nil, .hangup], .record(["ok": false, "status": 487, "by": "caller", "cause": "16"])),
      (
        [nil, .record(["kind": "limit", "message": "no"])],
        .record(["ok": false, "status": 500, "by": "system", "cause": "nil"])
      ),
      ([], .record(["ok": false, "status": 500, "by": "system", "cause": "nil"])),
    ]
    for (answer, expected) in answers {
      let telephone = try Telephone(invite: body)
      let run = telephone.invite(answers: [answer])
      #expect(telephone.reports == [expected])
      #expect(run.failure?.message == "dialplan.lua:4: a dial's result has no field 'stauts' (did you mean 'status'?)")
    }
  }

  @Test("reject takes what a dial gave") func rejectFrom() throws {
    let run = try Telephone(
      invite: "local r = call:dial 'user/1'\nif not r.ok then return call:reject { from = r } end"
    )
    .invite(answers: [
      [
        .record([
          "ok": false, "status": 486, "cause": 17, "reason": "Busy Here", "by": "remote", "attempts": .array([]),
        ])
      ]
    ])
    #expect(run.failure == nil)
    #expect(
      run.asked.last
        == .init(
          op: "reject",
          args: [7, .record(["from": .record(["status": 486, "cause": 17, "reason": "Busy Here", "by": "remote"])])]))
  }
}
