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
    let phrase = StatusCode.reason(status)
    bytes.append(addingCapacity: 32 + phrase.utf8CodeUnitCount) { out in
      out.append("SIP/2.0 ")
      out.append(number: UInt64(clamping: status))
      out.append(0x20)
      guard reason == nil else { return }
      out.append(phrase)
      out.appendLineEnd()
    }
    if let reason {
      appendClean(reason.utf8)
      endLine()
    }
  }

  // MARK: Headers

  public mutating func header(_ name: HeaderName, _ value: Bytes) { header(name, value.span) }

  public mutating func header(_ name: HeaderName, _ value: [UInt8]) { header(name, value.span) }

  private mutating func header(_ name: HeaderName, _ value: Span<UInt8>) {
    let name = name.text
    let start = bytes.count &+ name.utf8CodeUnitCount &+ 2
    bytes.append(addingCapacity: name.utf8CodeUnitCount &+ value.count &+ 4) { out in
      out.append(name)
      out.append(UInt8(ascii: ":"))
      out.append(0x20)
      out.append(octets: value)
      out.appendLineEnd()
    }
    clean(start, start &+ value.count)
  }

  @_disfavoredOverload
  public mutating func header(_ name: HeaderName, _ value: String) {
    begin(name)
    appendClean(value.utf8)
    endLine()
  }

  public mutating func header(_ name: HeaderName, _ value: StaticString) {
    let name = name.text
    bytes.append(addingCapacity: name.utf8CodeUnitCount &+ value.utf8CodeUnitCount &+ 4) { out in
      out.append(name)
      out.append(UInt8(ascii: ":"))
      out.append(0x20)
      out.append(value)
      out.appendLineEnd()
    }
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
  public mutating func copy(_ line: HeaderLine) { copyLine(line.line.span) }

  /// Every field of that name of another message, in order, as they came.
  public mutating func copyAll(_ name: HeaderName, from message: Message) {
    guard message.has(name) else { return }
    let text = message.bytes
    let octets = text.span
    for entry in message.entries where entry.name == name { copyLine(octets.extracting(entry.line)) }
  }

  private mutating func copyLine(_ line: Span<UInt8>) {
    bytes.append(addingCapacity: line.count &+ 2) { out in
      out.append(octets: line)
      out.appendLineEnd()
    }
  }

  /// `Name: `, for a value that is then appended raw and ended with `endLine`.
  public mutating func begin(_ name: HeaderName) {
    let name = name.text
    bytes.append(addingCapacity: name.utf8CodeUnitCount &+ 2) { out in
      out.append(name)
      out.append(UInt8(ascii: ":"))
      out.append(0x20)
    }
  }

  public mutating func endLine() {
    bytes.append(addingCapacity: 2) { $0.appendLineEnd() }
  }

  // MARK: Raw

  public mutating func append(_ text: StaticString) {
    bytes.append(addingCapacity: text.utf8CodeUnitCount) { $0.append(text) }
  }

  @_disfavoredOverload
  public mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

  public mutating func append(_ octets: Bytes) { bytes.append(octets: octets.span) }

  public mutating func append(_ octets: [UInt8]) { bytes.append(octets: octets.span) }

  public mutating func append(number: Int) {
    if number < 0 { bytes.append(UInt8(ascii: "-")) }
    bytes.append(addingCapacity: 20) { $0.append(number: UInt64(number.magnitude)) }
  }

  /// Without brackets.
  public mutating func append(_ ip: IPAddress) {
    guard ip.family == .v4 else {
      append(ip.description)
      return
    }
    bytes.append(addingCapacity: 64) { out in
      out.append(number: ip.low >> 24 & 0xff)
      out.append(UInt8(ascii: "."))
      out.append(number: ip.low >> 16 & 0xff)
      out.append(UInt8(ascii: "."))
      out.append(number: ip.low >> 8 & 0xff)
      out.append(UInt8(ascii: "."))
      out.append(number: ip.low & 0xff)
    }
  }

  /// With CR, LF and NUL made spaces.
  public mutating func appendClean(_ octets: Bytes) { appendClean(octets.span) }

  mutating func appendClean(_ octets: Span<UInt8>) {
    let start = bytes.count
    bytes.append(octets: octets)
    clean(start, bytes.count)
  }

  /// With CR, LF and NUL made spaces.
  @_disfavoredOverload
  public mutating func appendClean(_ text: some Collection<UInt8>) {
    let start = bytes.count
    bytes.append(contentsOf: text)
    clean(start, bytes.count)
  }

  private mutating func clean(_ start: Int, _ end: Int) {
    // Hardly ever is there one, or a tab, which is left.
    guard bytes.span.hasControl(start, end) else { return }
    for i in start..<end where bytes[i] == 0x0d || bytes[i] == 0x0a || bytes[i] == 0 { bytes[i] = 0x20 }
  }

  // MARK: End

  /// Content-Type if there is a body and `contentType` is given, Content-Length, the empty line, the body.
  public mutating func finish(body: Bytes = [], contentType: StaticString? = nil) {
    if let contentType, !body.isEmpty { header(.contentType, contentType) }
    bytes.append(addingCapacity: 40 + body.count) { out in
      out.append("Content-Length: ")
      out.append(number: UInt64(body.count))
      out.append("\r\n\r\n")
      out.append(octets: body.span)
    }
  }
}
