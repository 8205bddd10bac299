extension Call {
  /// Whoever is to reach it is somewhere else, and waits: no final response can be sent to him.
  var isAwaited: Bool { isTransfer || (transfer?.joining.map { $0.stage == .ringing && !$0.leads } ?? false) }
}

extension CallShard {
  /// A call that has to do with a transfer is over. Called before any of its legs is ended.
  func transferEnds(_ call: Call, _ info: Call.Hangup) {
    transferFailed(call, info)
    if let pending = call.transfer?.pending, pending.candidate != nil { note(pending.order, call) }
    endQuestion(call)
    endHalves(call, info)
  }
}
