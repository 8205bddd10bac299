import LuaRuntime
import Media
import NetCore
import SIPMessage
import SIPTransaction

extension CallShard {
  /// What is kept of a call that is over.
  func record(_ call: Call) -> CallRecord {
    let invite = call.invite
    let hangup = call.hangup
    let side: CallRecord.Side =
      switch hangup?.side {
      case .caller: .caller
      case .callee: .callee
      case .system, nil: .system
      }
    return CallRecord(
      id: call.id, startMs: call.startMilliseconds, answerMs: call.answerMilliseconds,
      endMs: call.endMilliseconds ?? services.wallClock(),
      from: String(decoding: invite.from.uri.decodedUser ?? [], as: UTF8.self),
      fromName: invite.from.displayName ?? "",
      to: String(decoding: invite.requestURI.decodedUser ?? [], as: UTF8.self), context: call.context,
      user: call.account?.name ?? call.trunk,
      source: "\(invite.flow.transport.parameterName):\(invite.flow.remote)", generation: call.script.number,
      status: call.isAnswered ? 200 : hangup?.status ?? 480, cause: hangup?.cause ?? .normalUnspecified, endedBy: side,
      attempts: call.attempts.map(\.record),
      vars: call.vars.map { .init(String(decoding: $0.key, as: UTF8.self), JSONValue($0.value)) },
      scriptError: call.scriptError,
      media: call.statistics.map { leg, codec, value in
        CallRecord.LegMedia(
          leg: leg, remote: value.source?.description ?? "", codec: codec, packetsIn: value.packetsIn,
          packetsOut: value.packetsOut,
          bytesIn: value.bytesIn, bytesOut: value.bytesOut, lost: UInt64(max(0, value.lost)), jitterMs: value.jitterMs)
      })
  }

  func snapshot() -> ShardSnapshot {
    ShardSnapshot(
      shard: Int(shard),
      calls: calls.elements.map { call in
        CallSummary(
          id: call.id, generation: call.script.number,
          from: String(decoding: call.invite.from.uri.decodedUser ?? [], as: UTF8.self),
          to: String(decoding: call.invite.requestURI.decodedUser ?? [], as: UTF8.self), context: call.context,
          state: call.state, startMilliseconds: call.startMilliseconds, legs: 1 + call.callees.count)
      },
      transactions: transactionCount, timers: wheel.count,
      generations: scripts.map { ($0.number, $0.calls, $0.vm.memoryInUse) })
  }
}

extension JSONValue {
  fileprivate init(_ value: LuaValue) {
    switch value {
    case .bool(let b): self = .bool(b)
    case .integer(let n): self = .integer(n)
    case .number(let n): self = .number(n)
    case .string(let s): self = .string(String(decoding: s, as: UTF8.self))
    case .null, .array, .table: self = .null
    }
  }
}
