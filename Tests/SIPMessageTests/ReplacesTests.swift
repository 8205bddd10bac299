import SIPMessage
import Testing

@Suite("RFC 3891 §6.1: Replaces")
struct ReplacesTests {
  @Test("Call-ID and both tags, in any order and case, with early-only and what else there is")
  func whole() {
    let value = Replaces(
      Array(" 12adf2f34456gs5@b.example ;To-Tag=12345;x=\"a;b\";from-tag=54321 ; early-only".utf8)[...])
    #expect(value?.callID == Array("12adf2f34456gs5@b.example".utf8) && value?.isEarlyOnly == true)
    #expect(value?.toTag == Array("12345".utf8) && value?.fromTag == Array("54321".utf8))
    #expect(value?.swapped.toTag == Array("54321".utf8) && value?.swapped.swapped == value)
    #expect(Replaces(Array("a;from-tag=1;to-tag=2".utf8)[...])?.isEarlyOnly == false)
  }

  @Test(
    "What is none",
    arguments: [
      "", ";to-tag=1;from-tag=2", "a", "a;to-tag=1", "a;from-tag=1", "a;to-tag;from-tag=2",
      "a;to-tag=1;from-tag=2;to-tag=3",
      "a;to-tag=1;from-tag=2,b;to-tag=1;from-tag=2", "a b;to-tag=1;from-tag=2", "a;to-tag=1;from-tag=2;",
      "a;to-tag=;from-tag=2",
      "a;to-tag=\"1;from-tag=2", String(repeating: "a", count: 600) + ";to-tag=1;from-tag=2",
    ])
  func malformed(text: String) {
    #expect(Replaces(Array(text.utf8)[...]) == nil)
  }

  @Test("RFC 3261 §19.1.1: headers of a URI by name, unescaped; the URI without them")
  func headers() throws {
    let uri = try URI(parsing: Array("sip:c@x;lr?Subject=a%20b&REPLACES=id%40h%3Bto-tag%3D1&none&replaces=2".utf8)[...])
    #expect(uri.header("subject") == Array("a b".utf8) && uri.header("none") == nil)
    #expect(uri.headers("Replaces") == [Array("id@h;to-tag=1".utf8), Array("2".utf8)])
    #expect(Array(uri.withoutHeaders) == Array("sip:c@x;lr".utf8))
    let plain = try URI(parsing: Array("sip:c@x".utf8)[...])
    #expect(plain.headers("Replaces").isEmpty && Array(plain.withoutHeaders) == Array("sip:c@x".utf8))
  }
}
