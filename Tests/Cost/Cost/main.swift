// What a call takes, without a network: allocations, memory, and under callgrind instructions (Scripts/cost). Prints JSON.
//
//     Cost call|auth|register [warm] [counted]  signalling, on virtual time: allocations and bytes
//     Cost held|lingering [warm] [counted]      bytes that stay allocated (Memory.swift)
//     Cost kept [calls]                         bytes that stay of a call that is over (Memory.swift)
//     Cost suspended [scripts]                  bytes of a script that sleeps (Memory.swift)
//     Cost decision [warm] [counted]            from a call's start to its first attempt (Deciding.swift)
//     Cost cold [counted]                       an INVITE with all caches flushed (Deciding.swift)
//     Cost bindings [users]                     memory of so many registered users (Holding.swift)
//     Cost records [calls] [records]            writes so many records; the difference of two runs under callgrind is the cost
//     Cost media [calls a second] [seconds]     the media plane, with its threads and sockets (MediaCalls.swift)
//     Cost packets [calls] [packets]            a relayed packet (MediaPackets.swift)
import Counting
import Foundation
import NetCore

let arguments = CommandLine.arguments
let kind = arguments.count > 1 ? arguments[1] : "call"
func number(_ index: Int, else other: Int) -> Int { arguments.count > index ? Int(arguments[index])! : other }

switch kind {
case "bindings":
  Holding.bindings(users: number(2, else: 100_000))
case "records":
  let done = DispatchSemaphore(value: 0)
  let (calls, count) = (number(2, else: 2000), number(3, else: 1000))
  Task {
    try await Writing.records(calls: calls, count: count)
    done.signal()
  }
  done.wait()
case "media":
  var media = MediaCalls(rate: number(2, else: 1000), seconds: number(3, else: 10))
  media.run()
case "packets":
  var packets = MediaPackets(calls: number(2, else: 10), counted: number(3, else: 100_000))
  exit(packets.run())
case "held":
  print(Memory.held(Calls(), warm: 100, count: number(3, else: 1000)))
case "kept":
  print(Memory.kept(Calls(), count: number(2, else: 20_000)))
case "suspended":
  print(Memory.suspended(count: number(2, else: 10_000)))
case "decision":
  Deciding.run(warm: number(2, else: 2000), counted: number(3, else: 1000))
case "cold":
  Deciding.cold(counted: number(2, else: 300))
case "lingering":
  print(Memory.lingering(Calls(), warm: 100, count: number(3, else: 1000)))
default:
  Signalling.run(kind, warm: number(2, else: 2000), counted: number(3, else: 1000))
}
