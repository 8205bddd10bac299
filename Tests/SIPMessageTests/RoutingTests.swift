import NetCore
import SIPMessage
import Testing

@Suite("Tokens and the skim")
struct RoutingTests {
  let key: (UInt64, UInt64) = (0, 0)
  let token = Token(shard: 3, slot: 0xabcdef, generation: 0x0102_0304, random: 0xfedc_ba98_7654_3210)

  private func skim(_ text: String, shards: UInt8 = 4) -> MessageSkim.Verdict {
    MessageSkim.route(Array(text.utf8), key: key, shards: shards)
  }

  @Test("a token is 32 hex digits and comes back")
  func tokenText() throws {
    #expect(text(token.hex) == "03abcdef01020304fedcba9876543210")
    #expect(Token(hex: token.hex[...]) == token && Token(branch: token.branch[...]) == token)
    #expect(text(token.branch) == "z9hG4bK03abcdef01020304fedcba9876543210")
    for bad in [
      "", "03abcdef01020304fedcba987654321", "03abcdef01020304fedcba98765432100", "03ABCDEF01020304fedcba9876543210",
    ] {
      #expect(Token(hex: bytes(bad)) == nil && Token(branch: bytes("z9hG4bK" + bad)) == nil)
    }
    #expect(Token(branch: token.hex[...]) == nil)
  }

  @Test("SipHash-1-3 of the Call-ID, against another implementation's values")
  func hash() {
    // CPython 3.11 with PYTHONHASHSEED=0: siphash13 with a zero key.
    for (id, value) in [
      ("a", 0x4074_48d2_b89b_1813), ("abcdefg", 0x6db1_2aae_9070_f506), ("abcdefgh", 0x3f7b_849c_0b8e_35ea),
      ("f81d4fae-7dec-11d0-a765-00a0c91e6bf6@foo.bar.com", 0xfcea_580c_ec9d_2b07),
    ] as [(String, UInt64)] { #expect(skim(Fixture.request(callID: id)) == .key(value)) }
  }

  @Test("a response goes by its top branch, a request by its To-tag or Replaces, all else by Call-ID")
  func routes() {
    let hex = text(token.hex) ?? ""
    func response(_ via: String) -> String {
      Fixture.request(via: via).replacing("OPTIONS sip:bob@example.com SIP/2.0", with: "SIP/2.0 200 OK")
    }
    let plain = skim(Fixture.request())
    #expect(skim(response("SIP/2.0/UDP h;rport;branch=z9hG4bK\(hex)")) == .shard(3))
    #expect(skim(response("SIP / 2.0\r\n / UDP h ; branch =\r\n z9hG4bK\(hex) , SIP/2.0/UDP h2")) == .shard(3))
    #expect(skim(response("SIP/2.0/UDP h;branch=z9hG4bKx, SIP/2.0/UDP h;branch=z9hG4bK\(hex)")) == plain)
    #expect(skim(response("SIP/2.0/UDP h;branch=z9hG4bK\(hex)"), shards: 3) == plain)
    #expect(skim(Fixture.request(via: "SIP/2.0/UDP h;branch=z9hG4bK\(hex)")) == plain)
    #expect(skim(Fixture.request(to: "<sip:b@h>;tag=\(hex)")) == .shard(3))
    #expect(skim(Fixture.request(to: "sip:b@h;x=1 ; tag = \(hex)")) == .shard(3))
    #expect(skim(Fixture.request(to: "\"a;tag=\(hex)\" <sip:b@h;tag=\(hex)>")) == plain)
    #expect(skim(Fixture.request("INVITE", headers: "Replaces: abc;to-tag=\(hex);from-tag=1\r\n")) == .shard(3))
    #expect(skim(Fixture.request(to: "<sip:b@h>;tag=\(hex)").replacing("To:", with: "t :")) == .shard(3))
  }

  @Test(
    "never fails",
    arguments: ["", "\r\n\r\n", "x", "SIP/", "OPTIONS\r\n\r\n", "\r\nTo", "A\r\nTo:\"", "A\r\nTo: <\r\ni:\r\n\r\n"])
  func unreadable(_ text: String) {
    #expect(skim(text) == .unreadable)
  }
}
