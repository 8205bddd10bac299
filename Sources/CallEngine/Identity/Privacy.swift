import SIPMessage

/// What a Privacy header asks for (RFC 3323 §4.2, RFC 3325 §9.3).
struct Privacy: Hashable {
  /// Lower-cased, in their order.
  private(set) var tokens: [[UInt8]] = []

  init(_ message: Message) {
    for line in message.all(.privacy) { add(line) }
  }

  init(tokens line: ArraySlice<UInt8>) { add(line) }

  /// Separated by `;`; some phones write a comma.
  private mutating func add(_ line: ArraySlice<UInt8>) {
    for part in line.split(whereSeparator: { $0 == UInt8(ascii: ";") || $0 == UInt8(ascii: ",") }) {
      let token = part.trimmedBlanks.map(\.asciiLower)
      guard !token.isEmpty, token.count <= 32, token.allSatisfy(\.isReasonToken), tokens.count < 8 else { continue }
      if !tokens.contains(token) { tokens.append(token) }
    }
  }

  mutating func add(_ token: String) { add(Array(token.utf8)[...]) }

  private func has(_ token: String) -> Bool { tokens.contains { $0.elementsEqual(token.utf8) } }

  /// The caller wants no privacy, whatever else would give him some.
  var isNone: Bool { has("none") }
  /// The caller's name and number are not to be shown.
  var hidesCaller: Bool { !isNone && (has("id") || has("user")) }

  /// Nobody outside of the trust domain learns where the call has been (RFC 7044 §10.1).
  var hidesHistory: Bool { !isNone && (has("history") || has("header") || hidesCaller) }
  /// The caller's own words about himself are not to be shown (RFC 3323 §5.3).
  var hidesDetails: Bool { !isNone && has("user") }
  var hasID: Bool { has("id") }

  /// `critical` with a kind of privacy that is unknown here: the call must fail (RFC 3323 §4.2). What is known is done
  /// for every call (`header`, `session`: two dialogs, and media by way of the relay) or where it is asked for.
  var unmet: [UInt8]? {
    guard has("critical") else { return nil }
    let known = ["id", "header", "session", "user", "none", "history", "critical"]
    return tokens.first { token in !known.contains { token.elementsEqual($0.utf8) } }
  }

  /// As it goes on: the same tokens; nil where there are none.
  var value: [UInt8]? {
    tokens.isEmpty ? nil : Array(tokens.joined(separator: CollectionOfOne(UInt8(ascii: ";"))))
  }
}
