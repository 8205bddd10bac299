public import SIPMessage

/// The UAC's side of reliable provisional responses, in one early dialog: RFC 3262 §4.
public struct ReliableReceiver: Sendable {
  /// The RSeq that was last acknowledged; nil before the first.
  private var last: UInt32?

  public init() {}

  public enum Action: Equatable, Sendable {
    /// The next in order: PRACK.
    case acknowledge
    /// It came before: its PRACK is on the way, and is a transaction that takes care of itself.
    case copy
    /// One between is missing: not acknowledged and not processed, so that it comes again (§4).
    case gap
  }

  public mutating func receive(_ rseq: UInt32) -> Action {
    guard let last else {
      self.last = rseq
      return .acknowledge
    }
    if rseq <= last { return .copy }
    guard rseq - last == 1 else { return .gap }
    self.last = rseq
    return .acknowledge
  }
}

/// `RAck: response-num CSeq-num Method` (RFC 3262 §7.2).
public struct RAck: Equatable, Sendable {
  public var rseq: UInt32
  public var cseq: UInt32
  public var method: Method

  public init(rseq: UInt32, cseq: UInt32, method: Method) {
    self.rseq = rseq
    self.cseq = cseq
    self.method = method
  }

  public init?(_ value: Bytes) {
    let parts = value.split { $0 <= 0x20 }
    guard parts.count == 3, let rseq = Decimal.parse(parts[0]), let cseq = Decimal.parse(parts[1]) else { return nil }
    self.init(rseq: rseq, cseq: cseq, method: Method(parts[2]))
  }
}

/// A number of the grammar's `1*DIGIT` below 2³².
public enum Decimal {
  public static func parse(_ digits: Bytes) -> UInt32? {
    guard !digits.isEmpty, digits.count <= 10 else { return nil }
    var number: UInt64 = 0
    for digit in digits {
      guard (0x30...0x39).contains(digit) else { return nil }
      number = number * 10 + UInt64(digit - 0x30)
    }
    return UInt32(exactly: number)
  }
}
