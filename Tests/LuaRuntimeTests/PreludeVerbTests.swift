import LuaRuntime
import Testing

@Suite struct PreludeVerbTests {
  static let asks: [(String, String, [LuaValue])] = [
    ("call:ring()", "ring", [.array([])]),
    ("call:ring{status=182, reliable='never'}", "ring", [.record(["status": 182, "reliable": "never"])]),
    ("call:progress{play='a.wav', loop=true}", "progress", [.record(["play": .array(["a.wav"]), "loop": true])]),
    (
      "call:progress{tone='busy', country='de', status=183.0}", "progress",
      [.record(["tone": "busy", "country": "de", "status": 183])]
    ),
    ("call:answer{codecs={'PCMA','opus'}}", "answer", [.record(["codecs": .array(["PCMA", "opus"])])]),
    (
      "call:answer{headers={['X-B']='2', ['X-A']=1, ['X-C']={'3','4'}}}", "answer",
      [
        .record([
          "headers": .array([
            .array(["X-A", "1"]), .array(["X-B", "2"]), .array(["X-C", "3"]), .array(["X-C", "4"]),
          ])
        ])
      ]
    ),
    (
      "call:answer{headers={{'X-B','2'},{'X-A','1'}}}", "answer",
      [.record(["headers": .array([.array(["X-B", "2"]), .array(["X-A", "1"])])])]
    ),
    ("call:reject{status=404, cause='UNALLOCATED_NUMBER'}", "reject", [.record(["status": 404, "cause": 1])]),
    ("call:reject{cause=17, text='no'}", "reject", [.record(["cause": 17, "text": "no"])]),
    ("call:reject{cause='user_busy'}", "reject", [.record(["cause": 17])]),
    ("call:reject()", "reject", [.array([])]),
    ("call:reject{contacts='sip:a@b'}", "reject", [.record(["contacts": .array(["sip:a@b"]), "status": 302])]),
    (
      "call:reject{from={ok=false, status=486, cause=17, reason='Busy', x=print}}", "reject",
      [.record(["from": .record(["status": 486, "cause": 17, "reason": "Busy"])])]
    ),
    ("call:hangup{cause='NORMAL_CLEARING'}", "hangup", [.record(["cause": 16])]),
    ("call:play 'busy.wav'", "play", [.array(["busy.wav"]), .array([])]),
    (
      "call:play({'a','b'}, {loop=true})", "play",
      [.array(["a", "b"]), .record(["loop": true])]
    ),
    ("call:tone 'busy'", "tone", ["busy", .array([])]),
    ("call:tone('ringing', 'us', {duration=2})", "tone", ["ringing", .record(["duration": 2, "country": "us"])]),
    (
      "call:tone('ringing', {duration=0.5, country='de'})", "tone",
      ["ringing", .record(["duration": 0.5, "country": "de"])]
    ),
    ("call:echo()", "echo", [.array([])]),
    ("call:wait{timer=5}", "wait", [.record(["timer": 5])]),
    ("call:wait()", "wait", [.array([])]),
  ]

  @Test("A verb asks the host with checked options", arguments: asks)
  func verbs(body: String, op: String, args: [LuaValue]) throws {
    for form in [body, "return \(body)", "local a, b = pcall(function() return \(body) end)"] {
      let run = try Telephone(invite: form).invite()
      #expect(run.failure == nil)
      #expect(run.asked == [.init(op: op, args: [7] + args)])
    }
  }

  static let mistakes: [(String, String)] = [
    ("call:ring{statsu=180}", "call:ring: unknown option 'statsu' (did you mean 'status'?)"),
    ("call:ring{status=183}", "call:ring: option 'status' must be 180, 181 or 182, not 183"),
    ("call:ring{status='180'}", "call:ring: option 'status' must be an integer, not \"180\""),
    (
      "call:ring{reliable='yes'}", "call:ring: option 'reliable' must be \"auto\", true or false, not \"yes\""
    ),
    ("call:ring(180)", "call:ring takes a table of options, not 180"),
    ("call:ring{180}", "call:ring takes named options, not a list"),
    ("call:progress{tone='busy', play='x'}", "call:progress: either `tone` or `play`, not both"),
    ("call:progress{tone='engaged'}", "call:progress: option 'tone' must be \"ringing\", \"busy\" or \"congestion\""),
    ("call:progress{loop=true}", "call:progress: `loop` needs `play`"),
    ("call:progress{status=200}", "call:progress: option 'status' must be from 180 to 199, not 200"),
    ("call:answer{codecs='PCMA', early=true}", "call:answer: unknown option 'early'"),
    ("call:answer{codecs={}}", "call:answer: option 'codecs' must be a list of strings, not a table"),
    ("call:answer{codecs={1}}", "call:answer: option 'codecs' must be a list of strings"),
    ("call:answer{headers='X: y'}", "call:answer: option 'headers' must be a table of headers, not \"X: y\""),
    ("call:reject(486)", "call:reject takes a table of options, not 486"),
    ("call:reject{status=200}", "call:reject: option 'status' must be from 300 to 699, not 200"),
    ("call:reject{cause='USER_BUSSY'}", "(did you mean 'USER_BUSY'?)"),
    (
      "call:reject{cause=200}",
      "option 'cause' must be a Q.850 cause (1 to 127, or a name such as \"USER_BUSY\"), not 200"
    ),
    ("call:reject{from=486}", "option 'from' must be the result of a dial, not 486"),
    ("call:reject{contacts='sip:a@b', status=486}", "call:reject: `contacts` go with a 3xx status, not 486"),
    ("call:hangup('NORMAL_CLEARING')", "call:hangup takes a table of options, not \"NORMAL_CLEARING\""),
    ("call:play()", "call:play: its first argument must be a file or a list of files, not nil"),
    ("call:play({})", "call:play: its first argument must be a file or a list of files, not a table"),
    ("call:play({'a', x='b'})", "call:play: its first argument must be a file or a list of files"),
    ("call:play('a', true)", "call:play takes a table of options, not true"),
    (
      "call:tone('beep')", "call:tone: its first argument must be \"ringing\", \"busy\" or \"congestion\", not \"beep\""
    ),
    ("call:tone('busy', 7)", "call:tone: its second argument must be a string, not 7"),
    ("call:echo{duration=0}", "call:echo: option 'duration' must be more than 0, not 0"),
    ("call:wait{timer=-1}", "call:wait: option 'timer' must be a number of seconds, not -1"),
    ("call:wait{timer=0/0}", "call:wait: option 'timer' must be a number of seconds"),
    ("call:wait{dtmf=true}", "call:wait: option 'dtmf' comes with a later release"),
    ("sleep('1')", "sleep takes a number of seconds, not \"1\""),
    ("spawn(1)", "spawn takes a function, not 1"),
    ("spawn(print, {detached=true})", "spawn: option 'detached' comes with a later release"),
  ]

  @Test("A mistake raises at the author's line, whatever stands around it", arguments: mistakes)
  func wrong(body: String, message: String) throws {
    for form in [
      body, "return \(body)", "(function() return \(body) end)()", "coroutine.wrap(function() return \(body) end)()",
    ] {
      let telephone = try Telephone(invite: form)
      let run = telephone.invite()
      let failure = try #require(run.failure)
      #expect(failure.message.hasPrefix("dialplan.lua:2: ") && failure.message.contains(message), "\(failure.message)")
      #expect(run.asked.isEmpty)
    }
  }

  @Test("A mistake in a spawned task and in a hook has its line too") func elsewhere() throws {
    let telephone = try Telephone(
      invite: "spawn(function(c)\n return c:ring{x=1} end)\ncall:on_hangup(function(h, c)\n return c:ring{y=1} end)")
    #expect(telephone.invite().failure == nil)
    #expect(telephone.run("spawned", [7, 1]).failure?.message == "dialplan.lua:3: call:ring: unknown option 'x'")
    #expect(
      telephone.run("hangup_hook", [7, 1, .hangup]).failure?.message == "dialplan.lua:5: call:ring: unknown option 'y'")
  }

  @Test("sleep and spawn") func tasks() throws {
    let telephone = try Telephone(invite: "log.info('x', { a = sleep(1.5), b = spawn(function() sleep(2) end) })")
    let run = telephone.invite()
    #expect(run.asked == [.init(op: "sleep", args: [1.5])])
    #expect(telephone.reports == [.record(["a": true, "b": true])])
    #expect(telephone.run("spawned", [7, 1]).asked == [.init(op: "sleep", args: [2])])
    #expect(telephone.run("spawned", [7, 1]).asked.isEmpty)
    let full = try Telephone(
      invite:
        "local ok, e = spawn(function() end) log.info('x', { ok = tostring(ok), kind = e.kind, text = tostring(e) })",
      replies: ["spawn": .values([nil, .record(["kind": "limit", "message": "more than 100 tasks"])])])
    #expect(full.invite().failure == nil)
    #expect(full.reports == [.record(["ok": "nil", "kind": "limit", "text": "more than 100 tasks"])])
  }

  @Test("A task without a call spawns without one") func withoutCall() throws {
    let telephone = try Telephone(
      "on.timer(60, function() spawn(function(call) log.info('x', { none = call == nil }) end) end)")
    #expect(telephone.run("timer", [1]).failure == nil)
    #expect(telephone.world.told.first?.args == [nil, 1])
    #expect(telephone.run("spawned", [nil, 1]).failure == nil)
    #expect(telephone.reports == [.record(["none": true])])
  }
}
