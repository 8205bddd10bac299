import Foundation
import NetCore
import SIPMessage
import Testing

@Suite("Mutations of good messages")
struct MutationTests {
  /// Mutations a seed; `NIGHTJAR_FUZZ_ROUNDS` asks for more than the few that every run makes.
  static let rounds = ProcessInfo.processInfo.environment["NIGHTJAR_FUZZ_ROUNDS"].flatMap(Int.init) ?? 400

  /// The parser, the skim and every accessor; a trap here ends the test run.
  static func exercise(_ bytes: [UInt8]) {
    _ = MessageSkim.route(bytes, key: (1, 2), shards: 4)
    var framer = StreamFramer()
    framer.append(bytes)
    while let frame = try? framer.next() { _ = frame }
    guard let m = try? MessageParser.parse(bytes, flow: Fixture.flow) else { return }
    _ = (m.methodName, m.reasonPhrase, m.callID, m.body, m.responseFlow, m.fromTag, m.toTag)
    let uri = m.requestURI
    _ = (uri.user, uri.decodedUser, uri.password, uri.host, uri.aorKey, uri.headersPart, uri.transport, uri.parameters)
    _ = (m.via.sentBy, m.via.branch, m.via.received, m.via.maddr, m.via.parameter("x"))
    for name in HeaderName.allCases {
      _ = m.values(name)
      guard let addresses = try? m.addresses(name) else { continue }
      for address in addresses {
        _ = (address.displayName, address.qValue, address.parameter("expires"), address.uri.isEquivalent(to: uri))
      }
    }
    for line in m.headers { _ = (line.unfolded, line.line, line.nameBytes) }
    var w = MessageWriter.response(to: m, status: 500, toTag: m.callID)
    w.finish()
  }

  @Test("the parser never traps on a mutated message", arguments: 0..<16)
  func mutate(_ seed: Int) {
    var random = SplitMix(state: UInt64(seed))
    var corpus = TortureCorpus.cases.map(\.bytes)
    corpus.append(
      Array(Fixture.request("INVITE", headers: "Contact: \"a\" <sip:a@[::1]:5060;lr>;q=0.1\r\nRoute: <sip:h>\r\n").utf8)
    )
    let alphabet = Array("\r\n \t\0\"<>;:,=%@[]/?*\\z9hG4bKSIP/2.0\u{ff}".utf8)
    for _ in 0..<Self.rounds {
      guard var bytes = corpus.randomElement(using: &random) else { return }
      for _ in 0..<Int.random(in: 1...8, using: &random) where !bytes.isEmpty {
        let i = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes[i] = UInt8.random(in: .min ... .max, using: &random)
        case 1: bytes[i] = alphabet.randomElement(using: &random) ?? 0
        case 2: bytes.remove(at: i)
        case 3: bytes.insert(alphabet.randomElement(using: &random) ?? 0, at: i)
        case 4: bytes.removeSubrange(i...)
        default:
          let end = min(bytes.count, i + Int.random(in: 1...40, using: &random))
          bytes.insert(contentsOf: Array(bytes[i..<end]), at: Int.random(in: 0...bytes.count, using: &random))
        }
      }
      MutationTests.exercise(bytes)
    }
  }

  @Test("nor on a message that is cut off anywhere")
  func truncate() {
    let whole = Array(
      Fixture.request("INVITE", headers: "Contact: \"a\\\"\" <sip:a@[::1]:5060;lr>;q=0.1\r\n", body: "v=0\r\n").utf8)
    for i in 0...whole.count { MutationTests.exercise(Array(whole[..<i])) }
  }
}
