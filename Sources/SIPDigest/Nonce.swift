internal import Crypto
internal import SIPMessage

/// A nonce that needs no memory: the second it was made in, 64 random bits, and a keyed hash of both and of the realm. That it is
/// ours and how old it is can be read from it alone (RFC 7616 §5.4).
struct Nonce {
  var issued: Int64
  var random: UInt64

  private static let timeDigits = 10
  private static let macDigits = 32
  static let length = timeDigits + 16 + macDigits

  init(issued: Int64, random: UInt64) {
    self.issued = issued
    self.random = random
  }

  /// Nil unless `text` was made with this key and realm.
  init?(_ text: Bytes, mint: NonceMint) {
    guard text.count == Nonce.length else { return nil }
    let time = text.prefix(Nonce.timeDigits)
    let random = text.dropFirst(Nonce.timeDigits).prefix(16)
    guard let issued = Hexadecimal.decode(time), let value = Hexadecimal.decode(random) else { return nil }
    self.init(issued: Int64(issued), random: value)
    guard constantTimeEqual(mint.text(self), text) else { return nil }
  }

  var head: [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(Nonce.length)
    Hexadecimal.encode(UInt64(bitPattern: issued), digits: Nonce.timeDigits, into: &out)
    Hexadecimal.encode(random, digits: 16, into: &out)
    return out
  }

  func text(mac: some Sequence<UInt8>) -> [UInt8] {
    head + Hexadecimal.encode(mac).prefix(Nonce.macDigits)
  }
}

/// Makes nonces, and knows its own again.
struct NonceMint: Sendable {
  private let key: SymmetricKey
  private let realm: [UInt8]

  init(key: [UInt8], realm: String) {
    self.key = SymmetricKey(data: key)
    self.realm = Array(realm.utf8)
  }

  func make(nowSeconds: Int64) -> [UInt8] {
    text(Nonce(issued: max(0, nowSeconds), random: .random(in: .min ... .max)))
  }

  func text(_ nonce: Nonce) -> [UInt8] {
    var mac = HMAC<SHA256>(key: key)
    mac.update(data: nonce.head)
    mac.update(data: realm)
    return nonce.text(mac: mac.finalize())
  }
}
