/// A value on its way between Lua and the host: what both sides can hold without knowing each other.
///
/// An empty table of Lua arrives as `.array([])`; ``subscript(_:)`` and ``entries`` treat it as an empty table too.
public enum LuaValue: Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  case number(Double)
  case string([UInt8])
  case array([LuaValue])
  /// In no particular order. A key is a string, an integer, a number or a bool.
  case table([(key: LuaValue, value: LuaValue)])

  public static func text(_ text: String) -> LuaValue { .string(Array(text.utf8)) }

  /// A table with string keys, in the order given.
  public static func record(_ fields: KeyValuePairs<String, LuaValue>) -> LuaValue {
    .table(fields.map { (key: .text($0.key), value: $0.value) })
  }
}

extension LuaValue {
  public var isNull: Bool { if case .null = self { true } else { false } }
  public var asBool: Bool? { if case .bool(let value) = self { value } else { nil } }
  public var asBytes: [UInt8]? { if case .string(let value) = self { value } else { nil } }
  /// The string, with what is not UTF-8 replaced.
  public var asString: String? { asBytes.map { String(decoding: $0, as: UTF8.self) } }

  /// The integer, or a number that is one.
  public var asInt: Int? {
    switch self {
    case .integer(let value): Int(exactly: value)
    case .number(let value): LuaValue.whole(value)
    case .null, .bool, .string, .array, .table: nil
    }
  }

  /// `Int(exactly:)` would take rounding functions of libm along, which nothing else here links.
  private static func whole(_ value: Double) -> Int? {
    guard value >= -0x1p63, value < 0x1p63 else { return nil }
    let integer = Int(value)
    return Double(integer) == value ? integer : nil
  }

  public var asDouble: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    case .null, .bool, .string, .array, .table: nil
    }
  }

  /// The elements of an array.
  public var asArray: [LuaValue]? { if case .array(let values) = self { values } else { nil } }

  /// The entries of a table; those of an empty array, which are none.
  public var entries: [(key: LuaValue, value: LuaValue)]? {
    switch self {
    case .table(let entries): entries
    case .array(let values) where values.isEmpty: []
    case .null, .bool, .integer, .number, .string, .array: nil
    }
  }

  /// The value of a string key; `.null` where there is none, and for what is not a table.
  public subscript(key: String) -> LuaValue {
    guard case .table(let entries) = self else { return .null }
    for entry in entries {
      if case .string(let bytes) = entry.key, bytes.elementsEqual(key.utf8) { return entry.value }
    }
    return .null
  }
}

extension LuaValue: Equatable {
  /// Tables are equal in whatever order their entries stand.
  public static func == (a: LuaValue, b: LuaValue) -> Bool {
    switch (a, b) {
    case (.null, .null): true
    case (.bool(let a), .bool(let b)): a == b
    case (.integer(let a), .integer(let b)): a == b
    case (.number(let a), .number(let b)): a == b
    case (.string(let a), .string(let b)): a == b
    case (.array(let a), .array(let b)): a == b
    case (.table(let a), .table(let b)):
      a.count == b.count && a.allSatisfy { entry in b.contains { $0.key == entry.key && $0.value == entry.value } }
    case (.array(let a), .table(let b)): a.isEmpty && b.isEmpty
    case (.table(let a), .array(let b)): a.isEmpty && b.isEmpty
    case (.null, _), (.bool, _), (.integer, _), (.number, _), (.string, _), (.array, _), (.table, _): false
    }
  }
}

extension LuaValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByNilLiteral
{
  public init(stringLiteral text: String) { self = .text(text) }
  public init(integerLiteral value: Int64) { self = .integer(value) }
  public init(floatLiteral value: Double) { self = .number(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(nilLiteral: ()) { self = .null }
}

extension LuaValue: CustomStringConvertible {
  /// As Lua would write it; for logs and tests.
  public var description: String {
    switch self {
    case .null: "nil"
    case .bool(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .number(let value): "\(value)"
    case .string(let bytes): "\"\(String(decoding: bytes, as: UTF8.self))\""
    case .array(let values): "{\(values.map(\.description).joined(separator: ", "))}"
    case .table(let entries):
      "{\(entries.map { "[\($0.key)]=\($0.value)" }.sorted().joined(separator: ", "))}"
    }
  }
}
