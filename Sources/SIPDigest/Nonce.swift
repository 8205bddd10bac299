internal import Crypto
internal import NetCore
internal import SIPMessage
internal import Synchronization

/// A nonce that needs no memory: the second it was made in, 64 bits that no other nonce has, and a keyed hash of both and
/// of the source it was given to. That it is ours and how old it is can be read from it alone (RFC 7616 §5.4); that its
/// sender gets what we send to his address, too: wrong credentials with it are his own and nobody else's.
struct Nonce {
  var issued: Int64
  var random: UInt64

  private static let timeDigits = 10
  private static let macStart = timeDigits + 16
  static let length = macStart + 32

  init(issued: Int64, random: UInt64) {
    self.issued = issued
    self.random = random
  }

  /// Nil unless `text` was made with this key and realm, for this source.
  init?(_ text: Bytes, mint: NonceMint, source: IPAddress) {
    let s = text.span
    guard s.count == Nonce.length, let issued = Hexadecimal.decode(s, 0, Nonce.timeDigits),
      let random = Hexadecimal.decode(s, Nonce.timeDigits, Nonce.macStart),
      let first = Hexadecimal.decode(s, Nonce.macStart, Nonce.macStart + 16),
      let second = Hexadecimal.decode(s, Nonce.macStart + 16, Nonce.length)
    else { return nil }
    self.init(issued: Int64(issued), random: random)
    let mac = mint.mac(self, source: source)
    // One test of all the bits: its time does not tell which of them were right.
    guard (mac.0 ^ first) | (mac.1 ^ second) == 0 else { return nil }
  }

  func text(mint: NonceMint, source: IPAddress) -> HexDigest {
    let mac = mint.mac(self, source: source)
    var text = HexDigest()
    text.append(UInt64(bitPattern: issued), octets: Nonce.timeDigits / 2)
    text.append(random)
    text.append(mac.0)
    text.append(mac.1)
    return text
  }
}

/// Makes nonces, and knows its own again. The keyed hash is SipHash-2-4 with 128 bits of output: a message authentication
/// code made for inputs as short as these few words, at a fiftieth of the cost of an HMAC. Its keys come from the
/// server's own by HMAC-SHA-256 over the realm, so that a nonce of one realm is none of another.
final class NonceMint: Sendable {
  private let macKey: (UInt64, UInt64)
  private let randomKey: (UInt64, UInt64)
  /// From a random start, so that two processes of one key do not give out the same nonces.
  private let counter: Atomic<UInt64>

  init(key: [UInt8], realm: String) {
    let derived = Array(HMAC<SHA256>.authenticationCode(for: Array(realm.utf8), using: SymmetricKey(data: key)))
    func word(_ k: Int) -> UInt64 { derived[(8 * k)..<(8 * k + 8)].reduce(0) { $0 << 8 | UInt64($1) } }
    macKey = (word(0), word(1))
    randomKey = (word(2), word(3))
    counter = Atomic(.random(in: .min ... .max))
  }

  func make(nowSeconds: Int64) -> Nonce {
    // Not a system call each: nobody can foretell what the key makes of the counter.
    let count = counter.wrappingAdd(1, ordering: .relaxed).newValue
    return Nonce(issued: max(0, nowSeconds), random: SipHash24.hash(count, 0, key: randomKey).0)
  }

  func mac(_ nonce: Nonce, source: IPAddress) -> (UInt64, UInt64) {
    let source = source.source
    return SipHash24.hash(
      UInt64(bitPattern: nonce.issued), nonce.random, source.high, source.low, key: macKey)
  }
}
