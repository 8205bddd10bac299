import NetCore
import SIPMessage

/// A display name and a user: the two things of an address that cross from one leg to the other.
struct CallerName: Hashable {
  var display: String?
  /// Unescaped; nil for an address without a user.
  var user: [UInt8]?
  /// Only where a script names one.
  var host: [UInt8]?

  /// RFC 3323 §4.1.1.3.
  static let anonymous = CallerName(
    display: "Anonymous", user: Array("anonymous".utf8), host: Array("anonymous.invalid".utf8))

  init(display: String?, user: [UInt8]?, host: [UInt8]? = nil) {
    self.display = display.flatMap { $0.isEmpty ? nil : $0 }
    self.user = user
    self.host = host
  }

  init(_ address: NameAddress) {
    self.init(display: address.displayName, user: CallerName.user(of: address.uri))
  }

  /// A script's words: `"Name" <sip:user@host>`, `sip:user@host`, `tel:…`, or a bare number. Nil for nothing.
  init?(script text: [UInt8]) {
    let text = text[...].trimmedBlanks
    guard !text.isEmpty else { return nil }
    if let address = try? NameAddress(parsing: text), address.uri.scheme != .other {
      let uri = address.uri
      self.init(
        display: address.displayName, user: CallerName.user(of: uri), host: uri.host.isEmpty ? nil : Array(uri.host))
      return
    }
    // `"Name" <1000>`, `1000`, and a URI whose user should have been escaped.
    var display: String?
    var rest = text
    if let open = text.lastIndex(of: UInt8(ascii: "<")), text.last == UInt8(ascii: ">") {
      display = String(decoding: text[..<open].trimmedBlanks.unquoted, as: UTF8.self)
      rest = text[(open + 1)...].dropLast().trimmedBlanks
    }
    var host: [UInt8]?
    let scheme = rest.prefix { $0 != UInt8(ascii: ":") }.map(\.asciiLower)
    if scheme.elementsEqual("sip".utf8) || scheme.elementsEqual("sips".utf8), scheme.count < rest.count {
      rest = rest.dropFirst(scheme.count + 1)
      if let at = rest.lastIndex(of: UInt8(ascii: "@")) {
        host = Array(rest[(at + 1)...])
        rest = rest[..<at]
      }
    }
    self.init(display: display, user: rest.isEmpty ? nil : Array(rest), host: host)
  }

  /// The number of a tel URI without its visual separators (RFC 3966 §5.1.1); the user of the others.
  private static func user(of uri: URI) -> [UInt8]? {
    guard let user = uri.decodedUser, !user.isEmpty else { return nil }
    guard uri.scheme == .tel else { return user }
    return user.filter { c in
      c != UInt8(ascii: "-") && c != UInt8(ascii: ".") && c != UInt8(ascii: "(") && c != UInt8(ascii: ")")
    }
  }

  /// The user of RFC 3323 §4.1.1.3; which host goes with it differs from phone to phone.
  var isAnonymous: Bool {
    guard let user, user.count == 9 else { return false }
    return user.lazy.map(\.asciiLower).elementsEqual("anonymous".utf8)
  }

  /// `"Display" <sip:user@host>`; for `tel` `"Display" <tel:number>`.
  func value(domain: String, tel: Bool = false) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(64)
    if let display {
      // Cut between scalars, so that what is left is still UTF-8.
      bytes.appendQuoted(String(display.unicodeScalars.prefix(100)).utf8)
      bytes.append(0x20)
    }
    bytes.append(UInt8(ascii: "<"))
    if tel, let user {
      bytes += Array("tel:".utf8)
      bytes.appendUser(user)
    } else {
      bytes += Array("sip:".utf8)
      if let user, !user.isEmpty {
        bytes.appendUser(user.prefix(256))
        bytes.append(UInt8(ascii: "@"))
      }
      if let host { bytes.appendHost(host) } else { bytes.appendHost(domain.utf8) }
    }
    bytes.append(UInt8(ascii: ">"))
    return bytes
  }
}

extension [UInt8] {
  private static let hexDigits = Array("0123456789ABCDEF".utf8)

  /// RFC 3261 §25.1 `user`: unreserved and user-unreserved octets as they are, all others escaped.
  mutating func appendUser(_ user: some Sequence<UInt8>) {
    for c in user {
      switch c {
      case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: append(c)
      case _ where "-_.!~*'()&=+$,;?/".utf8.contains(c): append(c)
      default:
        append(UInt8(ascii: "%"))
        append([UInt8].hexDigits[Int(c >> 4)])
        append([UInt8].hexDigits[Int(c & 15)])
      }
    }
  }

  /// A host name or a literal address; an IPv6 one gets its brackets. Whatever cannot be in a host is left out.
  mutating func appendHost(_ host: some Collection<UInt8>) {
    // A name of letters is no address (the last label of a name is never a number, RFC 3261 §25.1).
    if let first = host.first, first.asciiLower < 0x67, let ip = IPAddress(bytes: Array(host)[...]) {
      self += Array((ip.family == .v6 ? "[\(ip)]" : "\(ip)").utf8)
      return
    }
    for c in host.prefix(255) {
      switch c {
      case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"): append(c)
      default: break
      }
    }
  }
}
