@testable import SIPDigest
import SIPMessage
import Testing

/// Challenges of other servers, as a client keeps and answers them.
@Suite struct DigestChallengeTests {
  private func bytes(_ text: String) -> Bytes { Array(text.utf8)[...] }
  private func challenge(_ text: String) -> DigestChallenge? { DigestChallenge(bytes(text)) }

  private func answer(_ challenge: DigestChallenge?, nc: UInt32 = 1) -> String {
    challenge.map {
      String(
        decoding: $0.authorization(
          user: "Mufasa", password: "Circle of Life", method: bytes("GET"), uri: bytes("/dir/index.html"),
          cnonce: bytes("f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"), nc: nc), as: UTF8.self)
    } ?? ""
  }

  @Test(
    "RFC 7616 §3.9.1: the example's responses",
    arguments: [
      ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
      ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ])
  func example(algorithm: String, response: String) {
    let text = answer(
      challenge(
        "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=\(algorithm), "
          + "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
      ))
    #expect(text.contains("response=\"\(response)\"") && text.contains("nc=00000001"))
    #expect(text.contains("opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""))
  }

  @Test("RFC 7616 §3.4: the same nonce again has the next count, and another response")
  func counts() {
    let one = challenge("Digest realm=\"r\", nonce=\"n\", qop=\"auth\"")
    #expect(answer(one, nc: 2).contains("nc=00000002") && answer(one, nc: 0xabcdef).contains("nc=00abcdef"))
    #expect(answer(one, nc: 1) != answer(one, nc: 2))
  }

  @Test(
    "RFC 7616 §3.3: stale in any case; absent or anything else is not",
    arguments: [("TRUE", true), ("true", true), ("false", false), ("yes", false)])
  func stale(value: String, isStale: Bool) {
    #expect(challenge("Digest realm=\"r\", nonce=\"n\", stale=\(value)")?.isStale == isStale)
    #expect(challenge("Digest realm=\"r\", nonce=\"n\"")?.isStale == false)
  }

  @Test(
    "what cannot be answered is no challenge",
    arguments: [
      "", "Basic realm=\"r\"", "Digest", "Digest realm=\"r\"", "Digest nonce=\"n\"", "Digest realm=\"r\", nonce=\"n",
      "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"", "Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess",
      "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256", "Digest realm=\"r\", realm=\"s\", nonce=\"n\"",
    ])
  func unfit(text: String) { #expect(challenge(text) == nil) }

  @Test("RFC 8760 §2.4: the strongest of those whose realm is ours, the first of equals")
  func best() {
    let list = [
      "Digest realm=\"other\", nonce=\"1\", algorithm=SHA-256", "Digest realm=\"ours\", nonce=\"2\"",
      "Digest realm=\"ours\", nonce=\"3\", algorithm=SHA-256", "Digest realm=\"ours\", nonce=\"4\", algorithm=SHA-256",
    ].map(bytes)
    func nonce(_ realm: String) -> DigestChallenge? {
      DigestChallenge.best(of: list) { $0 == Array(realm.utf8) }
    }
    #expect(nonce("ours") == DigestChallenge(list[2]) && nonce("other") == DigestChallenge(list[0]))
    #expect(nonce("nobody") == nil && DigestChallenge.best(of: [], where: { _ in true }) == nil)
  }

  @Test("a realm with escapes is compared without, and hashed and sent back with them")
  func escapes() {
    let quoted = challenge("Digest realm=\"a \\\"b\\\" c\", nonce=\"n\"")
    #expect(quoted?.realm == Array("a \"b\" c".utf8))
    #expect(answer(quoted).contains("realm=\"a \\\"b\\\" c\""))
  }
}
