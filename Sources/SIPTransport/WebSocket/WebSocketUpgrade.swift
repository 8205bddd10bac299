internal import Crypto

/// The HTTP request that opens a WebSocket, and what it is answered with: RFC 6455 §4.2, RFC 7118 §4.
struct WebSocketUpgrade {
  enum Answer: Equatable {
    /// 101: from here on there are frames.
    case accepted([UInt8])
    /// An error of the 4xx or 5xx class; the connection is to be closed.
    case refused([UInt8])
  }

  /// Octets of a request's head, and its lines.
  static let maxHead = 8192
  private static let maxLines = 64

  private var key: String?
  private var version: String?
  private var origin: String?
  private var hasHost = false
  private var hasBody = false
  private var upgrades = false
  private var connects = false
  private var offersSIP = false

  /// - Parameters:
  ///   - head: the request with its empty line.
  ///   - origins: the pages that may connect, in lower case; empty: all. A client that is no browser sends no Origin and is
  ///     let in (RFC 6455 §10.2).
  static func answer(_ head: ArraySlice<UInt8>, origins: [String]) -> Answer {
    var lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: false)[...]
    let start = lines.popFirst()?.split(separator: " ", omittingEmptySubsequences: false) ?? []
    guard start.count == 3, start[2].hasPrefix("HTTP/") else {
      return refuse(400, "Bad Request", "not an HTTP request")
    }
    guard start[2] == "HTTP/1.1" else { return refuse(505, "HTTP Version Not Supported", "HTTP/1.1 is spoken here") }
    guard start[0] == "GET" else {
      return refuse(405, "Method Not Allowed", "a WebSocket is opened by GET", "Allow: GET")
    }
    guard lines.count <= maxLines else {
      return refuse(431, "Request Header Fields Too Large", "too many header fields")
    }
    var request = WebSocketUpgrade()
    for line in lines where !line.isEmpty {
      guard request.read(line) else { return refuse(400, "Bad Request", "a malformed header field") }
    }
    return request.answer(origins)
  }

  private mutating func read(_ line: Substring) -> Bool {
    guard let colon = line.firstIndex(of: ":"), colon > line.startIndex,
      line[..<colon].utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }),
      line.utf8.allSatisfy({ $0 >= 0x20 || $0 == 0x09 })
    else { return false }
    let value = line[line.index(after: colon)...].trimmed
    switch line[..<colon].lowercased() {
    case "host":
      if hasHost { return false }
      hasHost = true
    case "upgrade": upgrades = upgrades || Self.tokens(value).contains("websocket")
    case "connection": connects = connects || Self.tokens(value).contains("upgrade")
    case "sec-websocket-key":
      if key != nil { return false }
      key = String(value)
    case "sec-websocket-version": version = String(value)
    case "sec-websocket-protocol": offersSIP = offersSIP || Self.tokens(value).contains("sip")
    case "origin": origin = value.lowercased()
    case "transfer-encoding": hasBody = true
    case "content-length": hasBody = hasBody || value != "0"
    default: break
    }
    return true
  }

  private static func tokens(_ value: Substring) -> [String] {
    value.split(separator: ",").map { $0.trimmed.lowercased() }
  }

  private func answer(_ origins: [String]) -> Answer {
    guard hasHost else { return Self.refuse(400, "Bad Request", "Host is missing") }
    guard !hasBody else { return Self.refuse(400, "Bad Request", "no body is expected") }
    guard upgrades, connects else {
      return Self.refuse(426, "Upgrade Required", "this is a SIP WebSocket", "Upgrade: websocket")
    }
    guard version == "13" else {
      return Self.refuse(426, "Upgrade Required", "version 13 is spoken here", "Sec-WebSocket-Version: 13")
    }
    // 16 octets in base64.
    guard let key, key.utf8.count == 24, key.hasSuffix("=="),
      key.utf8.dropLast(2).allSatisfy({ Base64.alphabet.contains($0) })
    else { return Self.refuse(400, "Bad Request", "Sec-WebSocket-Key is not 16 octets in base64") }
    guard offersSIP else { return Self.refuse(400, "Bad Request", "Sec-WebSocket-Protocol does not offer sip") }
    if let origin, !origins.isEmpty, !origins.contains(origin) {
      return Self.refuse(403, "Forbidden", "not from this origin")
    }
    let proof = Insecure.SHA1.hash(data: Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))
    return .accepted(
      Array(
        """
        HTTP/1.1 101 Switching Protocols\r
        Upgrade: websocket\r
        Connection: Upgrade\r
        Sec-WebSocket-Accept: \(Base64.encode(Array(proof)))\r
        Sec-WebSocket-Protocol: sip\r
        \r\n
        """.utf8))
  }

  static func refuse(_ status: Int, _ phrase: String, _ why: String, _ header: String? = nil) -> Answer {
    .refused(
      Array(
        """
        HTTP/1.1 \(status) \(phrase)\r
        Connection: close\r
        \(header.map { $0 + "\r\n" } ?? "")Content-Type: text/plain\r
        Content-Length: \(why.utf8.count + 1)\r
        \r
        \(why)\n
        """.utf8))
  }
}

enum Base64 {
  static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  /// RFC 4648 §4, with padding.
  static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let three = bytes[start..<min(start + 3, bytes.count)]
      var bits = three.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      bits <<= UInt32(8 * (3 - three.count))
      for place in 0..<4 {
        text.append(place > three.count ? UInt8(ascii: "=") : alphabet[Int(bits >> UInt32(18 - 6 * place)) & 63])
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}

extension StringProtocol where SubSequence == Substring {
  fileprivate var trimmed: Substring {
    let blank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
    guard let first = firstIndex(where: { !blank($0) }), let last = lastIndex(where: { !blank($0) }) else { return "" }
    return self[first...last]
  }
}
