// What a call, a call with 407 and a REGISTER cost the signalling in allocations, without sockets and on virtual time;
// under callgrind also in instructions (Scripts/cost). Prints JSON.
//
//     Cost call|auth|register [warm] [counted]
//     Cost bindings [users]             memory of so many registered users
//     Cost records [calls] [records]    CPU to write so many records; not under callgrind, which fails on its threads
import Counting
import Foundation
import NetCore

let arguments = CommandLine.arguments
let kind = arguments.count > 1 ? arguments[1] : "call"
let warm = arguments.count > 2 ? Int(arguments[2])! : 2000
let counted = arguments.count > 3 ? Int(arguments[3])! : 1000
switch kind {
case "bindings":
  Holding.bindings(users: arguments.count > 2 ? warm : 100_000)
  exit(0)
case "records":
  try await Writing.records(calls: warm, count: counted)
  exit(0)
default: break
}
let calls = Calls()

for n in 0..<warm + counted {
  calls.meter.isCounting = n >= warm
  switch kind {
  case "call": calls.call(n, from: Server.caller, authenticates: false)
  case "auth": calls.call(n, from: Server.stranger, authenticates: true)
  case "register": calls.register(n)
  default: fatalError("call, auth, register, bindings or records")
  }
  calls.meter.advance(calls.pace)
}
let each = Double(counting_allocations()) / Double(counted)
let perMessage = Double(counting_allocations()) / Double(calls.meter.messages)
let bytes = Double(counting_bytes()) / Double(counted)
print(
  """
  {"kind": "\(kind)", "counted": \(counted), "messages": \(Double(calls.meter.messages) / Double(counted)), \
  "allocations": \(each), "allocations_a_message": \(perMessage), "bytes": \(bytes)}
  """)
