import CLuaBridge

/// What a script hands over: values in the flat bytes of `CLuaBridge.h`, read where they lie. It is our own C on the
/// other side, so broken bytes are a `preconditionFailure`.
public struct LuaArguments: Sendable {
  /// Kept by the machine and filled again where nobody else holds them.
  let bytes: [UInt8]

  init(bytes: [UInt8]) { self.bytes = bytes }

  /// The value at a position from 0 on; `null` behind the last.
  public subscript(index: Int) -> LuaArgument {
    var at = 0
    for _ in 0..<index where at < bytes.count { at = bytes.flatEnd(at) }
    return LuaArgument(bytes, at)
  }

  public var count: Int {
    var at = 0
    var count = 0
    while at < bytes.count {
      at = bytes.flatEnd(at)
      count += 1
    }
    return count
  }

  /// All of them, as a tree of their own.
  public var values: [LuaValue] {
    var values: [LuaValue] = []
    var at = 0
    while at < bytes.count {
      values.append(LuaArgument(bytes, at).value)
      at = bytes.flatEnd(at)
    }
    return values
  }
}

extension LuaArguments: Equatable, ExpressibleByArrayLiteral {
  public static func == (a: LuaArguments, b: LuaArguments) -> Bool { a.values == b.values }
  public init(arrayLiteral values: LuaValue...) { self.init(bytes: LuaFlat(values).bytes) }
}

/// One value of a script's, with the accessors of `LuaValue`.
public struct LuaArgument: Sendable {
  private let bytes: [UInt8]
  private let at: Int

  init(_ bytes: [UInt8], _ at: Int) {
    self.bytes = bytes
    self.at = at
  }

  public static let null = LuaArgument([], 0)

  private var kind: Int { at < bytes.count ? Int(bytes[at]) : NJ_NIL }
  /// Of a string, a list or a table.
  private var size: Int { Int(bytes.word(at + 1, UInt32.self)) }
  private var inside: Int { at + 5 }

  public var isNull: Bool { kind == NJ_NIL }
  public var asBool: Bool? { kind == NJ_TRUE ? true : kind == NJ_FALSE ? false : nil }
  public var asBytes: [UInt8]? { kind == NJ_STRING ? Array(bytes[inside..<inside + size]) : nil }
  /// The string, with what is not UTF-8 replaced.
  public var asString: String? {
    kind == NJ_STRING ? String(decoding: bytes[inside..<inside + size], as: UTF8.self) : nil
  }
  /// The integer, or a number that is one.
  public var asInt: Int? { scalar.asInt }
  public var asDouble: Double? { scalar.asDouble }

  private var scalar: LuaValue {
    switch kind {
    case NJ_INTEGER: .integer(bytes.word(at + 1, Int64.self))
    case NJ_NUMBER: .number(bytes.word(at + 1, Double.self))
    default: .null
    }
  }

  /// Whether it is this string.
  public func equals(_ text: StaticString) -> Bool {
    guard kind == NJ_STRING, size == text.utf8CodeUnitCount else { return false }
    return bytes.withUnsafeBufferPointer { all in
      all[inside..<inside + size].elementsEqual(UnsafeBufferPointer(start: text.utf8Start, count: size))
    }
  }

  /// The value of a string key; `null` where there is none, and for what is not a table.
  public subscript(key: StaticString) -> LuaArgument {
    var found = LuaArgument.null
    forEachEntry { name, value in
      if name.equals(key) { found = value }
    }
    return found
  }

  public func forEachEntry(_ body: (_ key: LuaArgument, _ value: LuaArgument) -> Void) {
    guard kind == NJ_TABLE else { return }
    var at = inside
    for _ in 0..<size {
      let value = bytes.flatEnd(at)
      body(LuaArgument(bytes, at), LuaArgument(bytes, value))
      at = bytes.flatEnd(value)
    }
  }

  /// The elements of a list.
  public var asArray: [LuaArgument]? {
    guard kind == NJ_ARRAY else { return nil }
    var elements: [LuaArgument] = []
    elements.reserveCapacity(size)
    var at = inside
    for _ in 0..<size {
      elements.append(LuaArgument(bytes, at))
      at = bytes.flatEnd(at)
    }
    return elements
  }

  /// The value as a tree of its own.
  public var value: LuaValue {
    switch kind {
    case NJ_NIL: return .null
    case NJ_FALSE: return .bool(false)
    case NJ_TRUE: return .bool(true)
    case NJ_STRING: return .string(Array(bytes[inside..<inside + size]))
    case NJ_ARRAY: return .array(asArray?.map(\.value) ?? [])
    case NJ_TABLE:
      var entries: [(key: LuaValue, value: LuaValue)] = []
      entries.reserveCapacity(size)
      forEachEntry { entries.append((key: $0.value, value: $1.value)) }
      return .table(entries)
    default: return scalar
    }
  }
}

extension [UInt8] {
  fileprivate func word<Word: BitwiseCopyable>(_ at: Int, _: Word.Type) -> Word {
    precondition(at + MemoryLayout<Word>.size <= count, "flat values end too early")
    return withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: Word.self) }
  }

  /// Where the value that begins at `at` ends.
  fileprivate func flatEnd(_ at: Int) -> Int {
    switch Int(self[at]) {
    case NJ_NIL, NJ_FALSE, NJ_TRUE: return at + 1
    case NJ_INTEGER, NJ_NUMBER: return at + 9
    case NJ_STRING: return at + 5 + Int(word(at + 1, UInt32.self))
    case NJ_ARRAY, NJ_TABLE:
      var end = at + 5
      let values = Int(word(at + 1, UInt32.self)) * (Int(self[at]) == NJ_TABLE ? 2 : 1)
      for _ in 0..<values { end = flatEnd(end) }
      return end
    default: preconditionFailure("flat values have an unknown tag")
    }
  }
}
