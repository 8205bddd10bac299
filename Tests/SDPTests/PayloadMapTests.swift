import NetCore
import SDP
import Testing

private let here = Endpoint(IPAddress(v4: 0x7f00_0001), 4000)

func payloadMap(from: AudioStream, to: AudioStream, alias: AudioStream? = nil) -> [UInt8: UInt8] {
  var map: [UInt8: UInt8] = [:]
  OfferAnswerSDP.payloadMap(from: from.formats, to: to.formats, alias: alias?.formats) {
    #expect(map.updateValue($1, forKey: $0) == nil)
  }
  return map
}

@Suite struct PayloadMapTests {
  let caller = AudioStream(
    rtp: here,
    formats: FormatList([
      Codec(payloadType: 96, name: "opus", clockRate: 48000, channels: 2), .pcmu, .pcma, .comfortNoise,
      .telephoneEvent(101),
    ]))
  let callee = AudioStream(
    rtp: here,
    formats: FormatList([
      .pcma, Codec(payloadType: 111, name: "OPUS", clockRate: 48000, channels: 2), .telephoneEvent(96),
    ]))

  @Test("RFC 3264 §5.1: each side is sent its own numbers; what the other does not know has no entry")
  func directions() {
    #expect(payloadMap(from: caller, to: callee) == [96: 111, 8: 8, 101: 96])
    #expect(payloadMap(from: callee, to: caller) == [8: 8, 111: 96, 96: 101])
  }

  @Test("A phone that sends under the numbers of its own answer is understood where nothing collides")
  func alias() {
    // We offered the callee the caller's numbers, so those are what it should send.
    #expect(
      payloadMap(from: caller, to: caller, alias: callee)
        == [96: 96, 0: 0, 8: 8, 13: 13, 101: 101, 111: 96])
  }

  @Test("Comfort noise goes by clock, an old phone's 19 included; events by their own clock")
  func auxiliary() throws {
    let cisco = try audio(phones.first { $0.name.hasPrefix("Cisco 7960") }?.body ?? "")
    let snom = try audio(phones.first { $0.name.hasPrefix("Snom") }?.body ?? "")
    #expect(payloadMap(from: cisco, to: snom) == [0: 0, 8: 8, 19: 13, 101: 101])
    let wide = try audio(phones.first { $0.name.hasPrefix("FreeSWITCH") }?.body ?? "")
    #expect(payloadMap(from: wide, to: callee) == [102: 111, 8: 8, 101: 96])
  }

  @Test("Names are matched in any case, with clock and channels; G729 has many names")
  func matching() {
    #expect(Codec(payloadType: 1, name: "pcmu").isSameFormat(as: .pcmu))
    #expect(
      !Codec(payloadType: 1, name: "L16", clockRate: 8000).isSameFormat(
        as: Codec(payloadType: 1, name: "L16", clockRate: 16000)))
    #expect(!Codec(payloadType: 1, name: "L16", channels: 2).isSameFormat(as: Codec(payloadType: 1, name: "L16")))
    let list = [
      Codec(payloadType: 97, name: "ILBC", fmtp: Array("mode=20".utf8)),
      Codec(payloadType: 98, name: "ILBC", fmtp: Array("mode=30".utf8)),
    ]
    #expect(Codec(payloadType: 5, name: "iLBC", fmtp: Array("mode=30".utf8)).match(in: list[...])?.payloadType == 98)
    #expect(Codec(payloadType: 98, name: "iLBC").match(in: list[...])?.payloadType == 98)
    #expect(Codec(payloadType: 5, name: "iLBC").match(in: list[...])?.payloadType == 97)
    #expect(Codec.pcmu.match(in: list[...]) == nil)
  }
}
