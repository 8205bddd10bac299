extension Span where Element == UInt8 {
  /// Compares with a text in lower case, without case.
  func equals(_ text: StaticString) -> Bool { equals(text, 0, count) }

  func equals(_ text: StaticString, _ start: Int, _ end: Int) -> Bool {
    let n = text.utf8CodeUnitCount
    guard end &- start == n else { return false }
    for k in 0..<n {
      let c = self[start &+ k]
      guard unsafe (c &- 0x41 < 26 ? c | 0x20 : c) == text.utf8Start[k] else { return false }
    }
    return true
  }
}
