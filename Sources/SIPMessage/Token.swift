/// What every branch and tag that we mint says, as 32 lower-case hex digits: the shard that owns it, the slot of its table and
/// that slot's generation, so that an answer is found without a hash; and 64 random bits, so that nobody can guess it
/// (RFC 3261 §19.3 asks for 32).
public struct Token: Hashable, Sendable {
  public var shard: UInt8
  /// 24 bits.
  public var slot: UInt32
  public var generation: UInt32
  public var random: UInt64

  /// Digits of a token.
  public static let length = 32

  public init(shard: UInt8, slot: UInt32, generation: UInt32, random: UInt64) {
    precondition(slot < 1 << 24, "a token's slot has 24 bits")
    self.shard = shard
    self.slot = slot
    self.generation = generation
    self.random = random
  }

  /// Nil unless it is exactly 32 lower-case hex digits.
  public init?(hex: Bytes) { self.init(hex.span, 0, hex.count) }

  /// A branch: the magic cookie and a token (RFC 3261 §8.1.1.7).
  public init?(branch: Bytes) { self.init(branch: branch.span, 0, branch.count) }

  init?(_ s: Span<UInt8>, _ start: Int, _ end: Int) {
    guard end &- start == Token.length, let place = Hex.read(s, start),
      let random = Hex.read(s, start &+ 16)
    else { return nil }
    shard = UInt8(truncatingIfNeeded: place >> 56)
    slot = UInt32(truncatingIfNeeded: place >> 32) & 0xff_ffff
    generation = UInt32(truncatingIfNeeded: place)
    self.random = random
  }

  init?(branch s: Span<UInt8>, _ start: Int, _ end: Int) {
    guard end &- start == Token.length &+ 7, s.equals("z9hg4bk", start, start &+ 7) else { return nil }
    self.init(s, start &+ 7, end)
  }

  public func write(into out: inout [UInt8]) {
    out.append(addingCapacity: Token.length) { write(into: &$0) }
  }

  private func write(into out: inout OutputSpan<UInt8>) {
    Hex.write(UInt64(shard) << 56 | UInt64(slot) << 32 | UInt64(generation), into: &out)
    Hex.write(random, into: &out)
  }

  public var hex: [UInt8] { [UInt8](capacity: Token.length) { write(into: &$0) } }

  /// `z9hG4bK` and the token.
  public var branch: [UInt8] {
    [UInt8](capacity: 7 + Token.length) { out in
      out.append("z9hG4bK")
      write(into: &out)
    }
  }
}
