// What a call, a call with 407 and a REGISTER cost the signalling in allocations, without sockets and on virtual time;
// under callgrind also in instructions (Scripts/cost). Prints JSON.
//
//     Cost call|auth|register [warm] [counted]
//     Cost media [calls a second] [seconds]     the media plane, with its threads and sockets (MediaCalls.swift)
//     Cost packets [calls] [packets]            a relayed packet (MediaPackets.swift)
import Counting
import Glibc
import NetCore

let arguments = CommandLine.arguments
let kind = arguments.count > 1 ? arguments[1] : "call"
let warm = arguments.count > 2 ? Int(arguments[2])! : 2000
let counted = arguments.count > 3 ? Int(arguments[3])! : 1000
if kind == "media" {
  var media = MediaCalls(
    rate: arguments.count > 2 ? Int(arguments[2])! : 1000, seconds: arguments.count > 3 ? Int(arguments[3])! : 10)
  media.run()
  exit(0)
}
if kind == "packets" {
  var packets = MediaPackets(
    calls: arguments.count > 2 ? Int(arguments[2])! : 10, counted: arguments.count > 3 ? Int(arguments[3])! : 100_000)
  exit(packets.run())
}
let calls = Calls()

for n in 0..<warm + counted {
  calls.meter.isCounting = n >= warm
  switch kind {
  case "call": calls.call(n, from: Server.caller, authenticates: false)
  case "auth": calls.call(n, from: Server.stranger, authenticates: true)
  case "register": calls.register(n)
  default: fatalError("call, auth, register, media or packets")
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
