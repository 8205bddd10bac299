import NetCore
import SDP
import Testing

/// A description from lines, with CRLF.
func sdp(_ text: String) throws -> SessionDescription { try SessionDescription(parsing: bytes(text)[...]) }

func bytes(_ text: String) -> [UInt8] {
  Array((text.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n") + "\r\n").utf8)
}

func audio(_ text: String) throws -> AudioStream { try OfferAnswerSDP.audio(in: sdp(text)) }

/// Built bytes as lines without CR, for comparing.
func lines(_ built: [UInt8]) -> String {
  String(decoding: built, as: UTF8.self).replacing("\r\n", with: "\n")
}

/// The same of a description of ours, which must say what is known of it.
func lines(_ built: BuiltDescription) throws -> String {
  #expect(try OfferAnswerSDP.audio(in: SessionDescription(parsing: built.bytes[...])) == built.audio)
  return lines(built.bytes)
}

func text(_ slice: some Sequence<UInt8>) -> String { String(decoding: Array(slice), as: UTF8.self) }

func names(_ formats: FormatList) -> String { names(formats.codecs + formats.auxiliary) }

func names(_ codecs: some Sequence<Codec>) -> String {
  codecs.map { "\($0.name)/\($0.clockRate)=\($0.payloadType)" }.joined(separator: " ")
}

/// What a call throws, as an SDPError.
func failure(_ body: () throws -> Void) -> SDPError? {
  do {
    try body()
    return nil
  } catch {
    return error as? SDPError
  }
}

let ours = IPAddress(v4: 0xc633_6401)  // 198.51.100.1
let identity = SessionIdentity(id: 42, version: 1)
