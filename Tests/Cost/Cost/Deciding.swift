import Synchronization

/// How long the dialplan takes to decide: from the start of a call to that of its first attempt, by the two times that
/// its record has. In between are the dialog of the caller, the coroutine's start, the handler and its router, `dial` with
/// its target and options brought to the engine, and the route to the target. The middle of all, in microseconds of the
/// clock: it means something on an idle machine only.
enum Deciding {
  static func run(warm: Int, counted: Int) {
    let calls = Calls()
    calls.keeps = 0
    var times: [Int] = []
    for n in 0..<warm + counted {
      calls.meter.receive(Texts.invite(n, from: Server.caller), from: Server.caller)
      if n >= warm { times.append(Wall.step.load(ordering: .relaxed)) }
      calls.refuse()
      calls.meter.advance(calls.pace)
    }
    times.sort()
    print(
      """
      {"kind": "decision", "counted": \(counted), "microseconds": \(Double(times[counted / 2]) / 1000), \
      "p99_microseconds": \(Double(times[counted * 99 / 100]) / 1000)}
      """)
  }

  /// An INVITE to a server whose caches have gone cold, as they are where calls are rare: from its octets to the
  /// second leg's INVITE, in microseconds of the clock.
  static func cold(counted: Int) {
    let calls = Calls()
    calls.keeps = 0
    var rubbish = [UInt8](repeating: 1, count: 96 << 20)
    var times: [Int] = []
    for n in 0..<counted {
      for i in stride(from: 0, to: rubbish.count, by: 64) { rubbish[i] &+= 1 }
      calls.meter.isCounting = true
      let before = calls.meter.nanoseconds
      calls.meter.receive(Texts.invite(n, from: Server.caller), from: Server.caller)
      times.append(calls.meter.nanoseconds - before)
      calls.meter.isCounting = false
      calls.refuse()
      calls.meter.advance(calls.pace)
    }
    times.sort()
    print("{\"kind\": \"cold\", \"counted\": \(counted), \"microseconds\": \(Double(times[counted / 2]) / 1000)}")
  }
}
