import LuaRuntime
import Media
import NetCore
import SIPMessage
import SIPTransaction

extension CallShard {
  /// What is kept of a call that is over. Only values are gathered here.
  func record(_ call: Call) -> PendingRecord {
    let (id, invite, context, generation) = (call.id, call.invite, call.context, call.script.number)
    let (account, trunk, scriptError) = (call.account, call.trunk, call.scriptError)
    let (start, answer, end) = (
      call.startMilliseconds, call.answerMilliseconds, call.endMilliseconds ?? services.wallClock()
    )
    let (attempts, vars, statistics) = (call.attempts, call.vars, call.statistics)
    let (transferredBy, transferTarget) = (call.transfer?.by, call.transfer?.target)
    let status = call.isAnswered ? 200 : call.hangup?.status ?? 480
    let cause = call.hangup?.cause ?? .normalUnspecified
    let side: CallRecord.Side =
      switch call.hangup?.side {
      case .caller: .caller
      case .callee: .callee
      case .system, nil: .system
      }
    return PendingRecord {
      CallRecord(
        id: id, startMs: start, answerMs: answer, endMs: end, from: text(invite.from.uri.decodedUser),
        fromName: invite.from.displayName ?? "", to: text(invite.requestURI.decodedUser), context: context,
        user: account?.name ?? trunk, source: "\(invite.flow.transport.parameterName):\(invite.flow.remote)",
        generation: generation, status: status, cause: cause, endedBy: side, attempts: attempts.map(\.record),
        vars: vars.map { .init(text($0.key), JSONValue($0.value)) }, scriptError: scriptError,
        media: statistics.map { CallRecord.LegMedia(leg: $0.leg, codec: $0.codec, $0.value) },
        transferredBy: transferredBy, transferTarget: transferTarget)
    }
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

private func text(_ octets: [UInt8]?) -> String { String(decoding: octets ?? [], as: UTF8.self) }

extension CallRecord.LegMedia {
  fileprivate init(leg: String, codec: String, _ value: MediaStatistics) {
    self.init(
      leg: leg, remote: value.source?.description ?? "", codec: codec, packetsIn: value.packetsIn,
      packetsOut: value.packetsOut, bytesIn: value.bytesIn, bytesOut: value.bytesOut,
      lost: UInt64(max(0, value.lost)), jitterMs: value.jitterMs)
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
