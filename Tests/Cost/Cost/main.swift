// What a call, a call with 407 and a REGISTER cost the signalling in allocations, without sockets and on virtual time;
// under callgrind also in instructions (Scripts/cost). Prints JSON.
//
//     Cost call|auth|register [warm] [counted]
//     Cost held|lingering [warm] [counted]             bytes that stay allocated (Memory.swift)
import Counting
import Glibc
import NetCore

let arguments = CommandLine.arguments
let kind = arguments.count > 1 ? arguments[1] : "call"
let warm = arguments.count > 2 ? Int(arguments[2])! : 2000
let counted = arguments.count > 3 ? Int(arguments[3])! : 1000
let calls = Calls()

switch kind {
case "held":
  print(Memory.held(calls, warm: 100, count: counted))
  exit(0)
case "lingering":
  print(Memory.lingering(calls, warm: 100, count: counted))
  exit(0)
default: break
}
for n in 0..<warm + counted {
  calls.meter.isCounting = n >= warm
  switch kind {
  case "call": calls.call(n, from: Server.caller, authenticates: false)
  case "auth": calls.call(n, from: Server.stranger, authenticates: true)
  case "register": calls.register(n)
  default: fatalError("call, auth, register, held or lingering")
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
