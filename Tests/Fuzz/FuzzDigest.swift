@testable import SIPDigest
import SIPMessage

/// Parameters of a challenge or of credentials.
func fuzzDigest(_ input: [UInt8]) {
  guard let parsed = try? DigestParameters.parse(input[...]) else { return }
  var again = Array("Digest ".utf8)
  var isFirst = true
  for name in names {
    guard let value = parsed[name] else { continue }
    require(value.startIndex >= 0 && value.endIndex <= input.count, "a value is a part of the header")
    _ = DigestParameters.unescape(value)
    // A quote can be part of a bare value only, and then it cannot be quoted as it is.
    guard !value.contains(where: { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) else { return }
    if !isFirst { again += Array(", ".utf8) }
    isFirst = false
    again += Array("\(name)=\"".utf8) + value + Array("\"".utf8)
  }
  guard let second = try? DigestParameters.parse(again[...]) else {
    fatalError("parameters that were written do not parse: \(text(again))")
  }
  for name in names {
    require(parsed[name].map(Array.init) == second[name].map(Array.init), "\(name) is the same: \(text(again))")
  }
}

private let names: [DigestParameters.Name] = [
  .username, .realm, .nonce, .uri, .response, .algorithm, .cnonce, .opaque, .qop, .nc, .stale,
]
