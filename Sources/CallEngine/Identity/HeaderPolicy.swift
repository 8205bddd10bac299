public import SIPMessage

/// Which headers of one leg's message go into the other leg's: an allow-list. Everything else is between this server
/// and that phone: dialogs, routes, credentials, extensions and what names the phone itself.
public enum HeaderPolicy {
  /// Subject, Priority, Alert-Info, Call-Info, User-to-User (RFC 7433), and whatever starts with `X-`. These cross byte
  /// for byte, folding and compact names included.
  public static func passes(_ line: HeaderLine) -> Bool {
    switch line.name {
    case .subject, .priority, .alertInfo, .callInfo, .userToUser: true
    case .other: isPrivate(line.nameBytes)
    default: false
    }
  }

  /// True where a script may set or remove the header. What makes dialogs, transactions and negotiation is the
  /// server's own; identity has options of its own in `dial`.
  public static func isScriptable(_ name: ArraySlice<UInt8>) -> Bool {
    guard !name.isEmpty, name.count <= 64, name.allSatisfy(\.isReasonToken) else { return false }
    switch HeaderName(name) {
    case .via, .from, .to, .callID, .cSeq, .maxForwards, .contact, .route, .recordRoute, .contentType, .contentLength,
      .contentDisposition, .contentEncoding, .mimeVersion, .expires, .minExpires, .authorization, .proxyAuthorization,
      .wwwAuthenticate, .proxyAuthenticate, .authenticationInfo, .require, .proxyRequire, .supported, .unsupported,
      .allow, .accept, .acceptEncoding, .event, .allowEvents, .subscriptionState, .referTo, .referredBy, .replaces,
      .rSeq, .rAck, .sessionExpires, .minSE, .path, .serviceRoute, .timestamp, .pAssertedIdentity,
      .pPreferredIdentity, .privacy:
      return false
    case .acceptLanguage, .subject, .priority, .alertInfo, .callInfo, .userToUser, .reason, .userAgent, .server, .date,
      .retryAfter, .warning, .diversion, .historyInfo, .organization, .inReplyTo, .replyTo, .errorInfo, .remotePartyID,
      .other:
      return true
    }
  }

  private static func isPrivate(_ name: ArraySlice<UInt8>) -> Bool {
    name.count > 2 && name[name.startIndex].asciiLower == UInt8(ascii: "x")
      && name[name.startIndex + 1] == UInt8(ascii: "-")
  }
}

/// What a script did to the headers that go on, in its order: `set` replaces, `add` adds, `remove` takes away.
public struct HeaderChanges: Sendable {
  public struct Header: Hashable, Sendable {
    public let name: [UInt8]
    public let value: [UInt8]
  }

  /// What is written besides the headers that pass.
  public private(set) var added: [Header] = []
  /// Names whose lines of the other leg do not pass.
  private var taken: [Key] = []

  public init() {}

  public var isEmpty: Bool { added.isEmpty && taken.isEmpty }

  /// - Returns: false, and nothing is done, for a header that is the server's own (`HeaderPolicy.isScriptable`).
  @discardableResult
  public mutating func set(_ name: [UInt8], _ value: [UInt8]) -> Bool {
    guard remove(name) else { return false }
    added.append(Header(name: name, value: value))
    return true
  }

  @discardableResult
  public mutating func add(_ name: [UInt8], _ value: [UInt8]) -> Bool {
    guard HeaderPolicy.isScriptable(name[...]) else { return false }
    added.append(Header(name: name, value: value))
    return true
  }

  @discardableResult
  public mutating func remove(_ name: [UInt8]) -> Bool {
    guard HeaderPolicy.isScriptable(name[...]) else { return false }
    let key = Key(name[...])
    added.removeAll { Key($0.name[...]) == key }
    if !taken.contains(key) { taken.append(key) }
    return true
  }

  /// True where the other leg's line does not go on, because the script has set or removed it.
  public func replaces(_ line: HeaderLine) -> Bool { !taken.isEmpty && taken.contains(Key(line.nameBytes)) }

  /// The first value that the script gave to a header; nil where it gave none.
  public func value(_ name: [UInt8]) -> [UInt8]? {
    let key = Key(name[...])
    return added.first { Key($0.name[...]) == key }?.value
  }

  /// Every value that the script gave to it.
  public func values(_ name: [UInt8]) -> [[UInt8]] {
    let key = Key(name[...])
    return added.filter { Key($0.name[...]) == key }.map(\.value)
  }

  /// True where the script has set or removed the header.
  public func replaces(named name: [UInt8]) -> Bool { taken.contains(Key(name[...])) }

  /// A name by what it means: long, compact and any case are one.
  private struct Key: Hashable {
    let known: HeaderName
    let name: [UInt8]

    init(_ name: ArraySlice<UInt8>) {
      known = HeaderName(name)
      self.name = known == .other ? name.map(\.asciiLower) : []
    }
  }
}
