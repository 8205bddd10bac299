/// What becomes of each payload type on its way from one leg to the other. A type that is not in it is dropped.
public struct PayloadMap: Sendable, Hashable {
  /// 128 entries, 0xff for none.
  private(set) var table: [UInt8]

  static let unmapped: UInt8 = 0xff

  public init() { self = .none }

  /// Types above 127 are left out.
  public init(_ pairs: [UInt8: UInt8]) {
    var table = [UInt8](repeating: Self.unmapped, count: 128)
    for (from, to) in pairs where from < 128 && to < 128 { table[Int(from)] = to }
    self.table = table
  }

  private init(table: [UInt8]) { self.table = table }

  /// Every type keeps its number.
  public static let identity = PayloadMap(table: Array(0..<128))
  public static let none = PayloadMap(table: Array(repeating: unmapped, count: 128))

  /// A type that is set stays in the map; one above 127 is never in it.
  public subscript(_ type: UInt8) -> UInt8? {
    get {
      guard type < 128, table[Int(type)] != Self.unmapped else { return nil }
      return table[Int(type)]
    }
    set {
      guard let newValue, type < 128, newValue < 128 else { return }
      table[Int(type)] = newValue
    }
  }
}
