/// What a ladder needs of a message, read from its bytes without the parser: it must also show what the parser refuses.
public struct MessageSummary: Hashable, Sendable {
  /// The start line, printable.
  public var firstLine = ""
  public var callID = ""
  public var cseq = ""
  public var fromTag: [UInt8]?
  public var toTag: [UInt8]?
  /// The value of Reason, if there is one.
  public var reason: String?
  /// `sendonly PCMU PCMA` of an SDP body: the direction of its first stream unless it is sendrecv, and its codecs.
  public var sdp: String?
  /// The whole text, masked; octets that are not UTF-8 are U+FFFD.
  public var message: String

  init(_ bytes: ArraySlice<UInt8>) {
    let masked = CredentialMask.mask(bytes.prefix(65_536))
    message = String(decoding: masked, as: UTF8.self)
    var lines = TextLines(rest: masked[...])
    while let line = lines.next() {
      guard !line.isEmpty else { continue }
      firstLine = MessageSummary.printable(line)
      break
    }
    while let line = lines.next(), !line.isEmpty { header(line) }
    sdp = SDPSummary(lines).text
  }

  private mutating func header(_ line: ArraySlice<UInt8>) {
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return }
    let name = line[..<colon].trimmedBlanks.map(\.asciiLower)
    let value = line[(colon + 1)...].trimmedBlanks
    switch String(decoding: name, as: UTF8.self) {
    case "call-id", "i": callID = MessageSummary.printable(value)
    case "cseq": cseq = MessageSummary.printable(value)
    case "from", "f": fromTag = MessageSummary.tag(value)
    case "to", "t": toTag = MessageSummary.tag(value)
    case "reason": reason = reason ?? MessageSummary.printable(value)
    default: break
    }
  }

  /// `;tag=` after the address.
  private static func tag(_ value: ArraySlice<UInt8>) -> [UInt8]? {
    let after = value.lastIndex(of: UInt8(ascii: ">")).map { value[($0 + 1)...] } ?? value
    for part in after.split(separator: UInt8(ascii: ";")) {
      let part = part.trimmedBlanks
      if part.count > 4, part.prefix(4).map(\.asciiLower).elementsEqual("tag=".utf8) { return Array(part.dropFirst(4)) }
    }
    return nil
  }

  static func printable(_ bytes: ArraySlice<UInt8>) -> String {
    String(decoding: bytes.prefix(512).map { $0 < 0x20 || $0 == 0x7f ? UInt8(ascii: "?") : $0 }, as: UTF8.self)
  }

  /// `INVITE` of a request, or of a response's CSeq.
  public var method: String {
    let words = (isResponse ? cseq : firstLine).split(separator: " ")
    return (isResponse ? words.last : words.first).map(String.init) ?? ""
  }

  public var isResponse: Bool { firstLine.hasPrefix("SIP/") }

  /// What stands on the arrow: `INVITE 1001`, `180 Ringing`, `200 OK (BYE)`.
  public var label: String {
    let words = firstLine.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: true)
    if isResponse {
      let status = words.dropFirst().joined(separator: " ")
      return method == "INVITE" || method.isEmpty ? status : "\(status) (\(method))"
    }
    guard words.count > 1 else { return firstLine }
    guard method == "INVITE" || method == "REGISTER" else { return method }
    let uri = words[1]
    let rest = uri.split(separator: ":", maxSplits: 1).last ?? uri
    return "\(method) \(rest.split(separator: "@").first ?? rest)"
  }
}

/// Lines that end in CRLF or LF.
struct TextLines {
  var rest: ArraySlice<UInt8>

  mutating func next() -> ArraySlice<UInt8>? {
    guard !rest.isEmpty else { return nil }
    let end = rest.firstIndex(of: 0x0a) ?? rest.endIndex
    var line = rest[..<end]
    rest = end < rest.endIndex ? rest[(end + 1)...] : rest[end...]
    if line.last == 0x0d { line.removeLast() }
    return line
  }
}

/// The first media section in a few words.
private struct SDPSummary {
  private(set) var text: String?

  init(_ lines: TextLines) {
    var lines = lines
    var formats: [String] = []
    var names: [String: String] = ["0": "PCMU", "8": "PCMA", "9": "G722", "13": "CN", "18": "G729", "3": "GSM"]
    var direction = ""
    var sections = 0
    while let line = lines.next() {
      let line = MessageSummary.printable(line)
      if line.hasPrefix("m=") {
        sections += 1
        if sections == 1 {
          let fields = line.split(separator: " ").map(String.init)
          formats = (fields.dropFirst(3).prefix(16)).map { $0 }
          if fields.count > 1, fields[1] == "0" { direction = "port 0" }
        }
      }
      guard sections <= 1 else { continue }
      if line.hasPrefix("a=rtpmap:") {
        let words = line.dropFirst(9).split(separator: " ", maxSplits: 1)
        if words.count == 2 { names[String(words[0])] = String(words[1].split(separator: "/").first ?? words[1]) }
      }
      if ["a=sendonly", "a=recvonly", "a=inactive"].contains(line) { direction = String(line.dropFirst(2)) }
    }
    guard sections > 0 else { return }
    let codecs = formats.map { names[$0] ?? $0 }.filter { $0 != "telephone-event" && $0 != "CN" }
    text = ((direction.isEmpty ? [] : [direction]) + codecs).joined(separator: " ")
  }
}
