import CallEngine
import Foundation

/// What a server keeps: memory as the system counts it.
enum Holding {
  static func bindings(users: Int) {
    let calls = Calls(users: 100_000...(99_999 + users))
    let before = residentKiB()
    for n in 0..<users {
      calls.register(n)
      calls.meter.advance(calls.pace)
    }
    let (registered, bindings) = calls.meter.server.bindings.counts
    let after = residentKiB()
    print(
      """
      {"kind": "bindings", "users": \(registered), "bindings": \(bindings), "resident_kib": \(after), \
      "before_kib": \(before), "bytes_each": \((after - before) * 1024 / max(1, bindings))}
      """)
  }

  private static func residentKiB() -> Int {
    let statm = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
    return (statm.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4
  }
}
