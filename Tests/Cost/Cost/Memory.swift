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
