/// What a timer wheel hands back when a timer fires: who armed it, and what for. Plain numbers, so that one wheel serves
/// the transaction table and everything else of a shard.
public struct TimerToken: Hashable, Sendable {
  /// Who armed it: 0 is the transaction table, 1 and up are the engine's.
  public var kind: UInt8
  /// Which of the owner's timers; for the table the raw value of a `TransactionTimer`.
  public var which: UInt8
  /// The owner's slot, and its generation: a token that outlives its slot is recognised and ignored.
  public var slot: UInt32
  public var generation: UInt32

  public init(kind: UInt8, which: UInt8, slot: UInt32, generation: UInt32) {
    self.kind = kind
    self.which = which
    self.slot = slot
    self.generation = generation
  }
}

/// The right to cancel one timer. Once that has fired or was cancelled the handle is stale, and harmless.
public struct TimerHandle: Hashable, Sendable {
  let index: UInt32
  let generation: UInt32

  /// A handle of no timer.
  public static let none = TimerHandle(index: .max, generation: 0)
}
