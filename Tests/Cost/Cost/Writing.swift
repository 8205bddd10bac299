import CallEngine
import Foundation
import Storage
import Synchronization

/// Records of real calls, written as `RecordStore` writes them: a batch is one transaction, 400 as of a thousand calls a
/// second.
enum Writing {
  static func records(calls count: Int, count records: Int) async throws {
    let calls = Calls()
    calls.meter.server.records.keeps.store(true, ordering: .relaxed)
    for n in 0..<max(20, count) {
      calls.call(n, from: Server.caller, authenticates: false)
      calls.meter.advance(calls.pace)
    }
    let made = calls.meter.server.records.take()
    let folder = FileManager.default.temporaryDirectory.appending(path: "nightjar-cost-\(UUID().uuidString)").path
    let database = try Database.open(.file(folder + "/n.db"))
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let start = ContinuousClock.now
    let cpu = clock()
    for first in stride(from: 0, to: records, by: 400) {
      try await database.insert(
        (first..<min(first + 400, records)).map { n in
          let one = made[n % made.count]
          return PendingRecord {
            // Each is a call of its own, as ids are.
            var record = one.make()
            record.id = String(Substring(record.id.utf8.prefix(25))) + String(1_000_000 + (n * 7919) % 9_000_000)
            record.endMs += Int64(n)
            return record
          }
        })
    }
    let microseconds = Double(clock() - cpu) / Double(records)
    print(
      """
      {"kind": "records", "records": \(records), "cpu_us_each": \(microseconds), "took": "\(ContinuousClock.now - start)"}
      """)
    database.close()
  }
}
