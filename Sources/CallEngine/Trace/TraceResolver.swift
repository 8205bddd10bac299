/// Finds the call of messages that do not say it themselves.
///
/// A caller's first INVITE comes before there is a call: it is held until the next message with its Call-ID, at most the
/// 100 Trying that goes out in the same turn, tells whose it was. The last messages of a call come when its leg is
/// gone: they are known by the Call-ID that earlier ones had.
struct TraceResolver {
  private struct Known {
    var call: String
    var side: TraceEntry.Side
  }
  private var known: [String: Known] = [:]
  /// Call-IDs in the order they were learned, the oldest forgotten first.
  private var order: [String] = []
  private var held: [TraceEntry] = []
  private static let limit = 4096
  private static let heldLimit = 64

  /// What can be shown now, in the order of the wire.
  mutating func resolve(_ entry: TraceEntry) -> [TraceEntry] {
    var entry = entry
    let callID = entry.summary.callID
    if let call = entry.call {
      learn(callID, Known(call: call, side: entry.side))
    } else if let known = known[callID] {
      entry.call = known.call
      entry.side = known.side
    }
    var ready = release(callID, as: entry)
    if entry.call == nil, !entry.sent, entry.summary.toTag == nil, entry.summary.method == "INVITE",
      !entry.summary.isResponse
    {
      held.append(entry)
      if held.count > TraceResolver.heldLimit { ready.append(held.removeFirst()) }
    } else {
      ready.append(entry)
    }
    return ready
  }

  private mutating func release(_ callID: String, as entry: TraceEntry) -> [TraceEntry] {
    guard !held.isEmpty else { return [] }
    var ready = held.filter { $0.summary.callID == callID }
    guard !ready.isEmpty else { return [] }
    held.removeAll { $0.summary.callID == callID }
    for i in ready.indices {
      ready[i].call = entry.call
      ready[i].side = entry.side
    }
    return ready
  }

  private mutating func learn(_ callID: String, _ value: Known) {
    if known.updateValue(value, forKey: callID) == nil {
      order.append(callID)
      if order.count > TraceResolver.limit {
        for old in order.prefix(TraceResolver.limit / 2) { known[old] = nil }
        order.removeFirst(TraceResolver.limit / 2)
      }
    }
  }
}

/// What one reader wants to see.
struct TraceFilter {
  private let wanted: String?
  /// The calls that one of their legs' Call-IDs has named.
  private var calls: Set<String> = []

  init(_ wanted: String?) { self.wanted = wanted }

  mutating func passes(_ entry: TraceEntry) -> Bool {
    guard let wanted else { return true }
    if entry.summary.callID == wanted {
      if let call = entry.call { calls = [call] }
      return true
    }
    guard let call = entry.call else { return false }
    return call == wanted || calls.contains(call) || (wanted.utf8.count >= 8 && call.hasPrefix(wanted))
  }
}
