/// The formats of an audio section, each under a number of its own: first the codecs, the preferred one first, then
/// telephone events and comfort noise.
public struct FormatList: Sendable, Equatable {
  private(set) var all: [Codec] = []
  private(set) var codecCount = 0

  init() {}

  /// `auxiliary`: telephone events.
  init(codecs: [Codec], auxiliary: Codec?) {
    all = codecs
    codecCount = codecs.count
    if let auxiliary { all.append(auxiliary) }
  }

  public init(_ codecs: [Codec]) {
    for codec in codecs { append(codec) }
  }

  public var codecs: ArraySlice<Codec> { all[..<codecCount] }
  public var auxiliary: ArraySlice<Codec> { all[codecCount...] }
  public var first: Codec? { codecCount > 0 ? all[0] : nil }

  /// The number of the first one from `start` on that `isWanted`.
  @inline(__always)
  func first(from start: Int, _ isWanted: (borrowing Codec) -> Bool) -> UInt8? {
    let list = all.span
    for i in start..<list.count where isWanted(list[i]) { return list[i].payloadType }
    return nil
  }

  /// The number of the entry of the same kind that is the same format; see `Codec.match`.
  func number(of codec: Codec) -> UInt8? {
    let range = codec.isAuxiliary ? codecCount..<all.count : 0..<codecCount
    let list = all.span.extracting(range)
    return codec.index(in: list).map { list[$0].payloadType }
  }

  mutating func reserve(_ count: Int) { all.reserveCapacity(count) }

  mutating func append(_ codec: Codec) {
    guard !codec.isAuxiliary else { return all.append(codec) }
    if codecCount == all.count { all.append(codec) } else { all.insert(codec, at: codecCount) }
    codecCount += 1
  }

  private mutating func remove(at i: Int) {
    all.remove(at: i)
    if i < codecCount { codecCount -= 1 }
  }

  /// Puts the same format to the front, where it is there at all.
  mutating func prefer(_ codec: Codec) {
    guard let at = codec.index(in: codecs.span), at > 0 else { return }
    all.insert(all.remove(at: at), at: 0)
  }

  /// The codecs that `names` lets go on, the first named first. Events and comfort noise are not subject to it.
  mutating func filter(_ names: [String]) throws(SDPError) {
    var list: [Codec] = []
    for name in names {
      let wanted = Array(name.utf8)[...]
      for codec in codecs where codec.answers(to: wanted) && !list.contains(codec) { list.append(codec) }
    }
    guard !list.isEmpty else { throw .noCommonCodec }
    all.replaceSubrange(..<codecCount, with: list)
    codecCount = list.count
  }

  /// Each format that `offered` has too, under the number it has there; parameters stay as they are.
  mutating func renumber(as offered: FormatList) {
    var used = PayloadSet()
    var i = 0
    while i < all.count {
      let number = offered.number(of: all[i])
      if let number, !used.contains(number) {
        used.insert(number)
        if all[i].payloadType != number { all[i].payloadType = number }
        i += 1
      } else {
        remove(at: i)
      }
    }
  }

  /// Payload numbers that a leg already knows must keep their meaning for the whole session (RFC 3264 §8.3.2). What
  /// finds no number left is dropped.
  mutating func renumber(keeping known: FormatList) {
    let here = PayloadSet(all)
    var taken = PayloadSet(known.all)
    var used = PayloadSet()
    var i = 0
    while i < all.count {
      let number: UInt8?
      if let match = all[i].index(in: known.all.span).map({ known.all[$0].payloadType }), !used.contains(match) {
        number = match
      } else if !taken.contains(all[i].payloadType) {
        number = all[i].payloadType
      } else {
        number = (UInt8(96)...127).first { !taken.contains($0) && !here.contains($0) }
      }
      if let number {
        taken.insert(number)
        used.insert(number)
        all[i].payloadType = number
        i += 1
      } else {
        remove(at: i)
      }
    }
  }

  /// Leaves out events and comfort noise that fit the clock of no codec (RFC 4733 §2.1, RFC 3389 §4), unless none of
  /// them does.
  mutating func dropUnfitAuxiliary() {
    var fitting = 0
    for i in codecCount..<all.count where hasCodec(withClock: all.span[i].clockRate) { fitting += 1 }
    guard fitting > 0, fitting < all.count - codecCount else { return }
    for i in (codecCount..<all.count).reversed() where !hasCodec(withClock: all[i].clockRate) { all.remove(at: i) }
  }

  private func hasCodec(withClock rate: UInt32) -> Bool {
    for i in 0..<codecCount where all.span[i].clockRate == rate { return true }
    return false
  }
}

extension Codec {
  /// `NAME`, `NAME/CLOCK` or `NAME/CLOCK/CHANNELS`, as a script says it.
  fileprivate func answers(to wanted: ArraySlice<UInt8>) -> Bool {
    let (name, rest) = wanted.trimmed.split(at: UInt8(ascii: "/"))
    guard let encoding = Encoding.read(name.span, 0..<name.count), encoding == self.encoding,
      encoding != .other || name.span.equals(0..<name.count, source.span, nameRange.range)
    else { return false }
    guard let rest else { return true }
    let (rate, channels) = rest.split(at: UInt8(ascii: "/"))
    guard rate.decimal(upTo: 1_000_000) == Int(clockRate) else { return false }
    return channels == nil || channels?.decimal(upTo: 255) == Int(self.channels)
  }
}
