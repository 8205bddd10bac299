import Counting

/// Calls and registrations one after the other: what the counted ones take.
enum Signalling {
  static func run(_ kind: String, warm: Int, counted: Int) {
    let calls = Calls()
    for n in 0..<warm + counted {
      calls.meter.isCounting = n >= warm
      switch kind {
      case "call": calls.call(n, from: Server.caller, authenticates: false)
      case "auth": calls.call(n, from: Server.stranger, authenticates: true)
      case "register": calls.register(n)
      default: fatalError("unknown kind \(kind): see main.swift")
      }
      calls.meter.advance(calls.pace)
    }
    let each = Double(counting_allocations()) / Double(counted)
    let perMessage = Double(counting_allocations()) / Double(calls.meter.messages)
    let bytes = Double(counting_bytes()) / Double(counted)
    print(
      """
      {"kind": "\(kind)", "counted": \(counted), "messages": \(Double(calls.meter.messages) / Double(counted)), \
      "allocations": \(each), "allocations_a_message": \(perMessage), "bytes": \(bytes), \
      "microseconds": \(Double(calls.meter.nanoseconds) / Double(counted) / 1000)}
      """)
  }
}
