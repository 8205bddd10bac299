/// What becomes of each payload type on its way from one leg to the other. A type that is not in it is dropped.
public struct PayloadMap: Sendable, Hashable {
  // A map goes from thread to thread with each call, so the few types that a call has lie in the value itself.
  /// Types as they come, in ascending order, and beside them as they are sent on; what is past `count` is zero.
  private var from = SIMD16<UInt8>()
  private var to = SIMD16<UInt8>()
  private var count = 0
  /// In place of those where there are more: 128 entries, `unmapped` for none.
  private var table: [UInt8]?

  static let unmapped: UInt8 = 0xff

  public init() {}

  /// Types above 127 are left out.
  public init(_ pairs: some Sequence<(key: UInt8, value: UInt8)>) {
    for (from, to) in pairs { self[from] = to }
  }

  /// Every type keeps its number.
  public static let identity = PayloadMap((0..<128).map { (key: $0, value: $0) })
  public static let none = PayloadMap()

  /// A type that is set stays in the map; one above 127 is never in it.
  public subscript(_ type: UInt8) -> UInt8? {
    get {
      if let table { return type < 128 && table[Int(type)] != Self.unmapped ? table[Int(type)] : nil }
      for n in 0..<count where from[n] == type { return to[n] }
      return nil
    }
    set {
      guard let newValue, type < 128, newValue < 128 else { return }
      if table != nil {
        table?[Int(type)] = newValue
      } else {
        insert(type, newValue)
      }
    }
  }

  private mutating func insert(_ type: UInt8, _ value: UInt8) {
    var place = 0
    while place < count, from[place] < type { place += 1 }
    if place < count, from[place] == type {
      to[place] = value
    } else if count < from.scalarCount {
      for n in stride(from: count, to: place, by: -1) {
        from[n] = from[n - 1]
        to[n] = to[n - 1]
      }
      from[place] = type
      to[place] = value
      count += 1
    } else {
      var all = [UInt8](repeating: Self.unmapped, count: 128)
      for n in 0..<count { all[Int(from[n])] = to[n] }
      all[Int(type)] = value
      self = PayloadMap()
      table = all
    }
  }

  /// As the packet path reads it: `unmapped` for what is not in it.
  var flat: InlineArray<128, UInt8> {
    var map = InlineArray<128, UInt8>(repeating: Self.unmapped)
    if let table {
      for type in map.indices { map[type] = table[type] }
    } else {
      for n in 0..<count { map[Int(from[n])] = to[n] }
    }
    return map
  }
}
