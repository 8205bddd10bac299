import NetCore
import SDP
import Testing

@Suite struct SessionIdentityTests {
  private func built(_ identity: SessionIdentity, port: UInt16 = 20000) -> BuiltDescription {
    OfferAnswerSDP.offer(codecs: [.pcmu], address: ours, port: port, session: identity)
  }

  @Test("RFC 3264 §8: the version goes up by one when something else than o= has changed, and only then")
  func versions() {
    var local = LocalDescription(id: 5)
    let first = local.update(built(local.identity))
    #expect(first == built(SessionIdentity(id: 5, version: 1)).bytes)
    #expect(local.update(built(local.identity)) == first)
    #expect(local.update(built(SessionIdentity(id: 5, version: 99))) == first)
    #expect(local.identity.version == 1)
    let second = local.update(built(local.identity, port: 20002))
    #expect(second == built(SessionIdentity(id: 5, version: 2), port: 20002).bytes)
    #expect(local.update(built(local.identity)) == built(SessionIdentity(id: 5, version: 3)).bytes)
    #expect(local.bytes == built(local.identity).bytes)
  }

  @Test("RFC 3264 §8: after a refused offer the session is the old one, and its version is not used again")
  func refused() {
    var local = LocalDescription(id: 5)
    let first = local.update(built(local.identity))
    let earlier = local
    _ = local.update(built(local.identity, port: 20002))
    local.revert(to: earlier)
    #expect(local.update(built(local.identity)) == first)
    #expect(
      local.update(built(local.identity, port: 20004)) == built(SessionIdentity(id: 5, version: 3), port: 20004).bytes)
  }

  @Test("sameSession looks at everything but o=")
  func same() {
    let one = built(SessionIdentity(id: 5)).bytes
    #expect(sameSession(one, built(SessionIdentity(id: 7, version: 3)).bytes))
    #expect(!sameSession(one, built(SessionIdentity(id: 5), port: 20002).bytes))
    #expect(sameSession([], []))
    #expect(!sameSession(one, []))
    #expect(!sameSession(one, Array(one.dropLast())))
    // An o inside the session's other lines or after m= is no o= line.
    #expect(!sameSession(bytes("v=0\nm=x\no=1"), bytes("v=0\nm=x\no=2")))
  }

  @Test("RFC 3264 §5: numbers stay below 2^62")
  func range() {
    #expect(SessionIdentity(id: .max).id == 1 << 62 - 1)
    #expect(SessionIdentity(id: 1, version: 1 << 62 - 1).next.version == 0)
  }
}
