import NetCore
import SIPMessage
import Testing

@testable import SIPDigest

private func bytes(_ text: String) -> Bytes { Array(text.utf8)[...] }
private func text(_ bytes: [UInt8]?) -> String { String(decoding: bytes ?? [], as: UTF8.self) }

@Suite("RFC 2617, RFC 7616: the arithmetic")
struct DigestVectorTests {
  @Test("RFC 2617 §3.5: Mufasa, with qop=auth and with opaque")
  func rfc2617() {
    let challenge =
      "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", "
      + "opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""
    let answer = text(
      DigestClient.authorization(
        challenge: bytes(challenge), user: "Mufasa", password: "Circle Of Life", method: bytes("GET"),
        uri: bytes("/dir/index.html"), cnonce: bytes("0a4f113b"), nc: 1))
    #expect(answer.contains("response=\"6629fae49393a05397450978507c4ef1\""))
    #expect(answer.contains("nc=00000001") && answer.contains("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""))
    #expect(answer.hasPrefix("Digest username=\"Mufasa\", realm=\"testrealm@host.com\", "))
  }

  @Test(
    "RFC 7616 §3.9.1: MD5 and SHA-256",
    arguments: [
      ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
      ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ])
  func rfc7616(_ algorithm: String, _ response: String) {
    let challenge =
      "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=\(algorithm), "
      + "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\""
    let answer = text(
      DigestClient.authorization(
        challenge: bytes(challenge), user: "Mufasa", password: "Circle of Life", method: bytes("GET"),
        uri: bytes("/dir/index.html"), cnonce: bytes("f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"), nc: 1))
    #expect(answer.contains("response=\"\(response)\"") && answer.contains("algorithm=\(algorithm)"))
  }

  @Test("RFC 2069: a challenge without qop")
  func rfc2069() {
    // H(HA1 ":" nonce ":" H(GET:/dir/index.html)) with the values of RFC 2617 §3.5.
    let answer = text(
      DigestClient.authorization(
        challenge: bytes("digest realm=\"testrealm@host.com\",nonce=dcd98b7102dd2f0e8b11d0f600bfb0c093"),
        user: "Mufasa",
        password: "Circle Of Life", method: bytes("GET"), uri: bytes("/dir/index.html"), cnonce: bytes("x"), nc: 1))
    #expect(answer.contains("response=\"670fd8c2df070c60b045671b8b24ff02\"") && !answer.contains("qop"))
  }

  @Test(
    "no answer to what is not ours",
    arguments: [
      "Basic realm=\"x\"", "Digest realm=\"x\"", "Digest nonce=\"x\"",
      "Digest realm=\"x\", nonce=\"y\", algorithm=SHA-512",
      "Digest realm=\"x\", nonce=\"y\", qop=\"auth-int\"", "Digest realm=\"x", "Digest realm", "",
    ])
  func unanswerable(_ challenge: String) {
    #expect(
      DigestClient.authorization(
        challenge: bytes(challenge), user: "u", password: "p", method: bytes("GET"), uri: bytes("/"),
        cnonce: bytes("c"),
        nc: 1) == nil)
  }

  @Test("RFC 8760 §2.4: of several challenges the strongest")
  func strongest() {
    let md5 = bytes("Digest realm=\"r\", nonce=\"n\", algorithm=MD5")
    let sha = bytes("Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256")
    #expect(DigestClient.strongest(of: [md5, sha]) == sha && DigestClient.strongest(of: [sha, md5]) == sha)
    #expect(DigestClient.strongest(of: [bytes("Digest algorithm=MD5-sess"), md5]) == md5)
    #expect(DigestClient.strongest(of: [bytes("Basic realm=\"x\"")]) == nil)
  }

  @Test("RFC 7616 §3.4.2: HA1")
  func ha1() {
    let ha1 = HA1(user: "Mufasa", realm: "testrealm@host.com", password: "Circle Of Life")
    #expect(text(ha1.md5) == "939e7578ed9e3c518a452acee763bce9" && ha1.sha256.count == 64)
  }

  @Test(
    "RFC 1321 §A.5: the test suite of MD5, and lengths about the end of a block",
    arguments: [
      ("", "d41d8cd98f00b204e9800998ecf8427e"), ("a", "0cc175b9c0f1b6a831c399e269772661"),
      ("abc", "900150983cd24fb0d6963f7d28e17f72"), ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
      ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
      ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"),
      (String(repeating: "1234567890", count: 8), "57edf4a22be3c955ac49da2e2107b67a"),
      (String(repeating: "x", count: 55), "04364420e25c512fd958a70738aa8f72"),
      (String(repeating: "x", count: 56), "668a72d5ba17f08e62dabcafad6db14b"),
      (String(repeating: "x", count: 63), "7dc2ca208106a2f703567bdff99d8981"),
      (String(repeating: "x", count: 64), "c1bb4f81d892b2d57947682aeb252456"),
      (String(repeating: "x", count: 65), "1bc932052302d074bdec39795fe00cf6"),
    ])
  func md5(_ message: String, _ hash: String) {
    #expect(text(DigestAlgorithm.md5.hash(bytes(message))) == hash)
  }

  @Test("SipHash-2-4-128 of 00…0f with the key 00…0f, as OpenSSL has it")
  func sipHash() {
    let key: (UInt64, UInt64) = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908)
    let hash = SipHash24.hash(key.0, key.1, key: key)
    #expect(hash == (0xbb54_b067_caa4_e26e, 0x7705_2385_bf15_33fd))
  }
}
