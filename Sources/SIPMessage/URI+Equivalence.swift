extension URI {
  /// More parameters or headers than that are compared octet by octet: each is looked for among all of the other's.
  private static let comparable = 64

  /// RFC 3261 §19.1.4. Not transitive; for tel the comparison of RFC 3966 §4, for other schemes octet by octet.
  public func isEquivalent(to other: URI) -> Bool {
    // A parameter that is there twice, which the grammar forbids, would not even equal itself.
    if bytes.hasSameOctets(as: other.bytes) { return true }
    guard scheme == other.scheme else { return false }
    switch scheme {
    case .sip, .sips: return sameAddress(other) && sameParameters(other) && sameHeaders(other)
    case .tel: return URI.sameNumber(user, other.user) && sameParameters(other)
    case .other: return false
    }
  }

  /// User and password with regard to case, the host without; a port that is there equals none that is not.
  private func sameAddress(_ other: URI) -> Bool {
    URI.equalOrBothAbsent(user, other.user, ignoringCase: false)
      && URI.equalOrBothAbsent(password, other.password, ignoringCase: false)
      && host.equalsIgnoringCase(other.host) && port == other.port
  }

  private static func equalOrBothAbsent(_ a: Bytes?, _ b: Bytes?, ignoringCase: Bool) -> Bool {
    guard let a, let b else { return a == nil && b == nil }
    return Escaping.equal(a, b, ignoringCase: ignoringCase)
  }

  /// A parameter in both must match; these never match their absence, others do. The RFC's text names user, ttl,
  /// method and maddr; its list of examples adds transport.
  private func sameParameters(_ other: URI) -> Bool {
    covers(other) && other.covers(self)
  }

  private func covers(_ other: URI) -> Bool {
    var mine = URIParameters(parameters)
    var seen = 0
    while let (name, value) = mine.next() {
      seen += 1
      guard seen <= URI.comparable else { return false }
      if let theirs = other.rawParameter(name) {
        guard URI.equalOrBothAbsent(value, theirs, ignoringCase: true) else { return false }
      } else if URI.mustBeInBoth(name) {
        return false
      }
    }
    return true
  }

  private static func mustBeInBoth(_ name: Bytes) -> Bool {
    Escaping.equal(name, "transport") || Escaping.equal(name, "user") || Escaping.equal(name, "ttl")
      || Escaping.equal(name, "method") || Escaping.equal(name, "maddr") || Escaping.equal(name, "phone-context")
  }

  private func rawParameter(_ name: Bytes) -> Bytes?? {
    var rest = URIParameters(parameters)
    while let (key, value) = rest.next() {
      if Escaping.equal(key, name, ignoringCase: true) { return .some(value) }
    }
    return nil
  }

  /// Headers are never ignored, but their order is.
  private func sameHeaders(_ other: URI) -> Bool {
    guard let mine = headersPart, let theirs = other.headersPart else {
      return headersPart == nil && other.headersPart == nil
    }
    let a = mine.split(separator: UInt8(ascii: "&"))
    var b = theirs.split(separator: UInt8(ascii: "&"))
    guard a.count == b.count, a.count <= URI.comparable else { return false }
    for header in a {
      guard let match = b.firstIndex(where: { URI.sameHeader(header, $0) }) else { return false }
      b.remove(at: match)
    }
    return true
  }

  private static func sameHeader(_ a: Bytes, _ b: Bytes) -> Bool {
    let i = a.firstIndex(of: UInt8(ascii: "=")) ?? a.endIndex
    let j = b.firstIndex(of: UInt8(ascii: "=")) ?? b.endIndex
    return Escaping.equal(a[..<i], b[..<j], ignoringCase: true) && Escaping.equal(a[i...], b[j...], ignoringCase: false)
  }

  /// Visual separators do not count (RFC 3966 §4).
  private static func sameNumber(_ a: Bytes?, _ b: Bytes?) -> Bool {
    func digits(_ raw: Bytes?) -> [UInt8] {
      (raw ?? []).filter { $0 != 0x2d && $0 != 0x2e && $0 != 0x28 && $0 != 0x29 }.map(\.lowercased)
    }
    return digits(a) == digits(b)
  }
}
