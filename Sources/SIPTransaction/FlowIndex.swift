import NetCore

/// Which slots use a peer's stream, so that a connection that breaks finds its transactions without a walk over all.
/// A doubly linked list a remote address, threaded through arrays indexed by slot.
struct FlowIndex {
  private static let none = UInt32.max

  private var heads: [Endpoint: UInt32] = [:]
  private var next: [UInt32] = []
  private var previous: [UInt32] = []

  var isEmpty: Bool { heads.isEmpty }

  mutating func insert(_ slot: UInt32, remote: Endpoint) {
    while next.count <= Int(slot) {
      next.append(FlowIndex.none)
      previous.append(FlowIndex.none)
    }
    let head = heads[remote] ?? FlowIndex.none
    next[Int(slot)] = head
    previous[Int(slot)] = FlowIndex.none
    if head != FlowIndex.none { previous[Int(head)] = slot }
    heads[remote] = slot
  }

  mutating func remove(_ slot: UInt32, remote: Endpoint) {
    let after = next[Int(slot)]
    let before = previous[Int(slot)]
    if after != FlowIndex.none { previous[Int(after)] = before }
    if before != FlowIndex.none {
      next[Int(before)] = after
    } else if after != FlowIndex.none {
      heads[remote] = after
    } else {
      heads[remote] = nil
    }
  }

  func slots(remote: Endpoint) -> [UInt32] {
    var slots: [UInt32] = []
    var slot = heads[remote] ?? FlowIndex.none
    while slot != FlowIndex.none {
      slots.append(slot)
      slot = next[Int(slot)]
    }
    return slots
  }
}

extension Flow {
  /// Whether what was sent on this flow is lost with `failed`. A stream that was not open yet has no connection id; it
  /// goes by its peer, as does a failure that names none.
  func isLost(with failed: Flow) -> Bool {
    transport == failed.transport && remote == failed.remote && peer == failed.peer
      && (connection == 0 || failed.connection == 0 || connection == failed.connection)
  }
}
