import CLuaBridge

/// Values to and from the flat bytes of `CLuaBridge.h`. The buffer is kept, so a host call encodes without allocating.
struct FlatWriter: ~Copyable {
  private var base: UnsafeMutableRawPointer
  private var capacity: Int
  private(set) var count = 0

  init() {
    capacity = 1024
    base = .allocate(byteCount: capacity, alignment: 8)
  }

  deinit { base.deallocate() }

  /// Valid until the next write.
  var bytes: UnsafePointer<UInt8> { UnsafePointer(base.assumingMemoryBound(to: UInt8.self)) }

  mutating func write(_ values: [LuaValue]) {
    count = 0
    for value in values { append(value, depth: 0) }
  }

  mutating func write(raw text: String) {
    count = 0
    var text = text
    text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
  }

  private mutating func reserve(_ more: Int) {
    guard count + more > capacity else { return }
    capacity = max(capacity * 2, count + more)
    let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
    larger.copyMemory(from: base, byteCount: count)
    base.deallocate()
    base = larger
  }

  private mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    reserve(bytes.count)
    (base + count).copyMemory(from: source, byteCount: bytes.count)
    count += bytes.count
  }

  private mutating func append<Word: BitwiseCopyable>(tag: Int, _ word: Word) {
    let size = MemoryLayout<Word>.size
    reserve(1 + size)
    base.storeBytes(of: UInt8(truncatingIfNeeded: tag), toByteOffset: count, as: UInt8.self)
    base.storeBytes(of: word, toByteOffset: count + 1, as: Word.self)
    count += 1 + size
  }

  private mutating func append(tag: Int) {
    reserve(1)
    base.storeBytes(of: UInt8(truncatingIfNeeded: tag), toByteOffset: count, as: UInt8.self)
    count += 1
  }

  private mutating func append(_ value: LuaValue, depth: Int) {
    precondition(depth <= NJ_MAX_DEPTH, "the host's tables nest deeper than \(NJ_MAX_DEPTH)")
    switch value {
    case .null: append(tag: NJ_NIL)
    case .bool(let value): append(tag: value ? NJ_TRUE : NJ_FALSE)
    case .integer(let value): append(tag: NJ_INTEGER, value)
    case .number(let value): append(tag: NJ_NUMBER, value)
    case .string(let bytes):
      append(tag: NJ_STRING, UInt32(bytes.count))
      bytes.withUnsafeBytes { append($0) }
    case .array(let values):
      append(tag: NJ_ARRAY, UInt32(values.count))
      for value in values { append(value, depth: depth + 1) }
    case .table(let entries):
      append(tag: NJ_TABLE, UInt32(entries.count))
      for entry in entries {
        append(entry.key, depth: depth + 1)
        append(entry.value, depth: depth + 1)
      }
    }
  }
}

/// Reads what the bridge wrote; it is our own C on the other side, so a broken buffer is a `preconditionFailure`.
struct FlatReader {
  private var at: UnsafeRawPointer
  private let end: UnsafeRawPointer

  static func values(_ bytes: UnsafePointer<UInt8>?, _ length: Int) -> [LuaValue] {
    guard let bytes, length > 0 else { return [] }
    var reader = FlatReader(at: UnsafeRawPointer(bytes), end: UnsafeRawPointer(bytes) + length)
    var values: [LuaValue] = []
    values.reserveCapacity(4)
    while reader.at < reader.end { values.append(reader.value()) }
    return values
  }

  private mutating func take<Word: BitwiseCopyable>(_: Word.Type) -> Word {
    let size = MemoryLayout<Word>.size
    precondition(end - at >= size, "flat values end too early")
    defer { at += size }
    return at.loadUnaligned(as: Word.self)
  }

  private mutating func value() -> LuaValue {
    switch Int(take(UInt8.self)) {
    case NJ_NIL: return .null
    case NJ_FALSE: return .bool(false)
    case NJ_TRUE: return .bool(true)
    case NJ_INTEGER: return .integer(take(Int64.self))
    case NJ_NUMBER: return .number(take(Double.self))
    case NJ_STRING:
      let count = Int(take(UInt32.self))
      precondition(end - at >= count, "flat values end too early")
      defer { at += count }
      return .string([UInt8](UnsafeRawBufferPointer(start: at, count: count)))
    case NJ_ARRAY:
      let count = Int(take(UInt32.self))
      var values: [LuaValue] = []
      values.reserveCapacity(count)
      for _ in 0..<count { values.append(value()) }
      return .array(values)
    case NJ_TABLE:
      let count = Int(take(UInt32.self))
      var entries: [(key: LuaValue, value: LuaValue)] = []
      entries.reserveCapacity(count)
      for _ in 0..<count {
        let key = value()
        entries.append((key: key, value: value()))
      }
      return .table(entries)
    default: preconditionFailure("flat values have an unknown tag")
    }
  }
}
