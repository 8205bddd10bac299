import CLuaBridge

/// Writes values for Lua as the flat bytes of `CLuaBridge.h`, into a buffer that is kept. A table is its number of
/// entries and then key and value by turns; a list its number of elements and then these.
public final class LuaWriter {
  private var base: UnsafeMutableRawPointer
  private var capacity = 1024
  private(set) var count = 0

  public init() { base = .allocate(byteCount: capacity, alignment: 8) }

  deinit { base.deallocate() }

  /// Valid until the next write.
  var bytes: UnsafePointer<UInt8> { UnsafePointer(base.assumingMemoryBound(to: UInt8.self)) }

  /// What was written since `clear()`.
  public var flat: LuaFlat { LuaFlat(bytes: [UInt8](UnsafeRawBufferPointer(start: base, count: count))) }

  public func clear() { count = 0 }

  public func null() { append(tag: NJ_NIL) }
  public func bool(_ value: Bool) { append(tag: value ? NJ_TRUE : NJ_FALSE) }
  public func integer(_ value: Int64) { append(tag: NJ_INTEGER, value) }
  public func integer(_ value: Int) { append(tag: NJ_INTEGER, Int64(value)) }
  public func number(_ value: Double) { append(tag: NJ_NUMBER, value) }
  /// A string of the machine's `names`, by its number there.
  public func name(_ number: UInt8) { append(tag: NJ_NAME, number) }
  public func table(_ entries: Int) { append(tag: NJ_TABLE, UInt32(entries)) }
  public func list(_ elements: Int) { append(tag: NJ_ARRAY, UInt32(elements)) }

  public func string(_ bytes: [UInt8]) {
    append(tag: NJ_STRING, UInt32(bytes.count))
    bytes.withUnsafeBytes { append($0) }
  }
  public func string(_ bytes: ArraySlice<UInt8>) {
    append(tag: NJ_STRING, UInt32(bytes.count))
    bytes.withUnsafeBytes { append($0) }
  }
  public func text(_ text: String) {
    var text = text
    text.withUTF8 {
      append(tag: NJ_STRING, UInt32($0.count))
      append(UnsafeRawBufferPointer($0))
    }
  }

  public func value(_ value: LuaValue) { append(value, depth: 0) }

  /// For a table whose number of entries is known only behind them.
  public func openTable() -> Int {
    table(0)
    return count
  }
  /// - Parameter place: What `openTable()` gave.
  public func closeTable(_ place: Int, entries: Int) {
    base.storeBytes(of: UInt32(entries), toByteOffset: place - 4, as: UInt32.self)
  }

  func write(_ values: [LuaValue]) {
    for value in values { append(value, depth: 0) }
  }

  func write(raw text: String) {
    var text = text
    text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
  }

  private func reserve(_ more: Int) {
    guard count + more > capacity else { return }
    capacity = max(capacity * 2, count + more)
    let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
    larger.copyMemory(from: base, byteCount: count)
    base.deallocate()
    base = larger
  }

  private func append(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    reserve(bytes.count)
    (base + count).copyMemory(from: source, byteCount: bytes.count)
    count += bytes.count
  }

  @inline(__always) private func append<Word: BitwiseCopyable>(tag: Int, _ word: Word) {
    let size = MemoryLayout<Word>.size
    reserve(1 + size)
    base.storeBytes(of: UInt8(truncatingIfNeeded: tag), toByteOffset: count, as: UInt8.self)
    base.storeBytes(of: word, toByteOffset: count + 1, as: Word.self)
    count += 1 + size
  }

  private func append(tag: Int) {
    reserve(1)
    base.storeBytes(of: UInt8(truncatingIfNeeded: tag), toByteOffset: count, as: UInt8.self)
    count += 1
  }

  private func append(_ value: LuaValue, depth: Int) {
    precondition(depth <= NJ_MAX_DEPTH, "the host's tables nest deeper than \(NJ_MAX_DEPTH)")
    switch value {
    case .null: null()
    case .bool(let value): bool(value)
    case .integer(let value): integer(value)
    case .number(let value): number(value)
    case .string(let bytes): string(bytes)
    case .array(let values):
      list(values.count)
      for value in values { append(value, depth: depth + 1) }
    case .table(let entries):
      table(entries.count)
      for entry in entries {
        append(entry.key, depth: depth + 1)
        append(entry.value, depth: depth + 1)
      }
    }
  }
}

/// Values for Lua that wait for their time, as `LuaWriter` made them.
public struct LuaFlat: Sendable, Equatable {
  let bytes: [UInt8]

  init(bytes: [UInt8]) { self.bytes = bytes }

  public init(_ values: [LuaValue]) {
    guard !values.isEmpty else {
      bytes = []
      return
    }
    let writer = LuaWriter()
    writer.write(values)
    self = writer.flat
  }
}

extension LuaFlat: ExpressibleByArrayLiteral {
  public init(arrayLiteral values: LuaValue...) { self.init(values) }
}
