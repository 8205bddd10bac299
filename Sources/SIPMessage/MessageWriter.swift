public import NetCore

/// Builds one message, front to back: start line, headers, `finish`. What goes into a header cannot leave it: CR, LF and
/// NUL in a value become spaces.
public struct MessageWriter: Sendable {
  public var bytes: [UInt8] = []

  public init(capacity: Int = 1024) { bytes.reserveCapacity(capacity) }

  // MARK: Start line

  public mutating func requestLine(_ method: Method, uri: Bytes) {
    append(method.name)
    requestLineRest(uri)
  }

  /// For a method that the server does not know.
  public mutating func requestLine(name: Bytes, uri: Bytes) {
    appendClean(name)
    requestLineRest(uri)
  }

  private mutating func requestLineRest(_ uri: Bytes) {
    bytes.append(0x20)
    // A blank would end the Request-URI; none can be in one that was parsed.
    for c in uri where c > 0x20 && c != 0x7f { bytes.append(c) }
    append(" SIP/2.0\r\n")
  }

  /// `reason` nil means the default phrase.
  public mutating func statusLine(_ status: Int, _ reason: String? = nil) {
    append("SIP/2.0 ")
    append(number: status)
    bytes.append(0x20)
    if let reason { appendClean(reason.utf8) } else { append(StatusCode.reason(status)) }
    endLine()
  }

  // MARK: Headers

  public mutating func header(_ name: HeaderName, _ value: Bytes) {
    begin(name)
    appendClean(value)
    endLine()
  }

  public mutating func header(_ name: HeaderName, _ value: [UInt8]) { header(name, value[...]) }

  @_disfavoredOverload
  public mutating func header(_ name: HeaderName, _ value: String) {
    begin(name)
    appendClean(value.utf8)
    endLine()
  }

  public mutating func header(_ name: HeaderName, _ value: StaticString) {
    begin(name)
    append(value)
    endLine()
  }

  public mutating func header(name: Bytes, value: Bytes) {
    for c in name { bytes.append(OctetSet.token.contains(c) ? c : UInt8(ascii: "-")) }
    append(": ")
    appendClean(value)
    endLine()
  }

  public mutating func header(_ name: HeaderName, number: Int) {
    begin(name)
    append(number: number)
    endLine()
  }

  /// A header field of another message, as it came.
  public mutating func copy(_ line: HeaderLine) {
    bytes.append(contentsOf: line.line)
    endLine()
  }

  /// Every field of that name of another message, in order, as they came.
  public mutating func copyAll(_ name: HeaderName, from message: Message) {
    guard message.has(name) else { return }
    for entry in message.entries where entry.name == name { copy(message.line(entry)) }
  }

  /// `Name: `, for a value that is then appended raw and ended with `endLine`.
  public mutating func begin(_ name: HeaderName) {
    append(name.text)
    append(": ")
  }

  public mutating func endLine() {
    bytes.append(0x0d)
    bytes.append(0x0a)
  }

  // MARK: Raw

  public mutating func append(_ text: StaticString) {
    text.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
  }

  @_disfavoredOverload
  public mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

  public mutating func append(_ octets: Bytes) { bytes.append(contentsOf: octets) }

  public mutating func append(_ octets: [UInt8]) { bytes.append(contentsOf: octets) }

  public mutating func append(number: Int) {
    guard number >= 10 else {
      if number >= 0 { bytes.append(0x30 &+ UInt8(truncatingIfNeeded: number)) } else { append(String(number)) }
      return
    }
    var scale = 10
    while number / scale >= 10 { scale &*= 10 }
    while scale > 0 {
      bytes.append(0x30 &+ UInt8(truncatingIfNeeded: number / scale % 10))
      scale /= 10
    }
  }

  /// Without brackets.
  public mutating func append(_ ip: IPAddress) {
    guard ip.family == .v4 else {
      append(ip.description)
      return
    }
    var shift: UInt64 = 24
    while true {
      append(number: Int(truncatingIfNeeded: ip.low >> shift & 0xff))
      guard shift > 0 else { return }
      bytes.append(UInt8(ascii: "."))
      shift &-= 8
    }
  }

  /// With CR, LF and NUL made spaces.
  public mutating func appendClean(_ text: some Collection<UInt8>) {
    let start = bytes.count
    bytes.append(contentsOf: text)
    for i in start..<bytes.count where bytes[i] == 0x0d || bytes[i] == 0x0a || bytes[i] == 0 { bytes[i] = 0x20 }
  }

  // MARK: End

  /// Content-Type if there is a body and `contentType` is given, Content-Length, the empty line, the body.
  public mutating func finish(body: Bytes = [], contentType: StaticString? = nil) {
    if let contentType, !body.isEmpty { header(.contentType, contentType) }
    header(.contentLength, number: body.count)
    endLine()
    bytes.append(contentsOf: body)
  }
}
