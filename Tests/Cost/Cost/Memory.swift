import CallEngine
import Counting
import NetCore

/// What stays allocated for a call that is up, and for a transaction that is over and waits for copies.
enum Memory {
  /// Past every timer of a transaction: what is left is the calls' own.
  private static let quiet = Instant.Span.seconds(40)

  /// The signalling's bytes for each of `count` calls that are up; ports and media threads are not in it.
  static func held(_ calls: Calls, warm: Int, count: Int) -> String {
    let before = rested(calls, warm: warm)
    calls.keeps = nil
    for n in warm..<warm + count { calls.call(n, from: Server.caller, authenticates: false) }
    calls.meter.advance(quiet)
    let each = (counting_live() - before) / count
    let up = calls.meter.server.shard.callCount
    return "{\"kind\": \"held\", \"calls\": \(up), \"bytes_a_call\": \(each)}"
  }

  /// The bytes of each transaction of `count` calls that were ended just now: its place in the tables and its timers
  /// included. Two of four linger for 32 s as servers, one as long for copies of the callee's 200, one for 5 s.
  static func lingering(_ calls: Calls, warm: Int, count: Int) -> String {
    let before = rested(calls, warm: warm)
    for n in warm..<warm + count { calls.call(n, from: Server.caller, authenticates: false) }
    let transactions = calls.meter.server.shard.transactionCount
    let bytes = counting_live() - before
    return """
      {"kind": "lingering", "transactions": \(transactions), "bytes_a_transaction": \(bytes / transactions), \
      "bytes_a_call": \(bytes / count)}
      """
  }

  /// The bytes that stay of each of `count` calls once they are over and forgotten: none may.
  static func kept(_ calls: Calls, count: Int) -> String {
    calls.keeps = 0
    func run(_ calls: Calls, _ numbers: Range<Int>) -> Int {
      for n in numbers {
        calls.call(n, from: Server.caller, authenticates: false)
        calls.meter.advance(calls.pace)
      }
      calls.meter.advance(quiet)
      return counting_live()
    }
    let before = run(calls, 0..<count)
    let bytes = Double(run(calls, count..<2 * count) - before) / Double(count)
    return "{\"kind\": \"kept\", \"calls\": \(count), \"bytes_a_call\": \(bytes)}"
  }

  /// The bytes of each of `count` scripts that sleep, ninety to a call: coroutine, timer and what the shard knows of it.
  static func suspended(count: Int) -> String {
    let each = 90
    func live(spawned: Int) -> Int {
      let dialplan = """
        on.invite(function(call)
          call:answer()
          for _ = 1, \(spawned) do spawn(function() sleep(600) end) end
          sleep(600)
        end)
        """
      let calls = Calls(dialplan: dialplan)
      let before = counting_live()
      for n in 0..<count / each { calls.meter.receive(Texts.invite(n, from: Server.caller), from: Server.caller) }
      for _ in 0..<100 { calls.meter.advance(.milliseconds(10)) }
      return counting_live() - before
    }
    let with = live(spawned: each)
    let bytes = (with - live(spawned: 0)) / (count / each * each)
    return "{\"kind\": \"suspended\", \"scripts\": \(count / each * each), \"bytes_a_script\": \(bytes)}"
  }

  private static func rested(_ calls: Calls, warm: Int) -> Int {
    calls.keeps = 0
    for n in 0..<warm {
      calls.call(n, from: Server.caller, authenticates: false)
      calls.meter.advance(.seconds(1))
    }
    calls.meter.advance(quiet)
    return counting_live()
  }
}
