import SDP
import Testing

@Suite struct SDPBodyTests {
  private func found(_ body: String, _ type: String?) throws -> String? {
    try SDPBody.find(in: bytes(body)[...], contentType: type.map { Array($0.utf8)[...] }).map { text($0) }
  }

  @Test("RFC 3261 §20.15: application/sdp in any case, with or without parameters")
  func plain() throws {
    for type in ["application/sdp", "Application/SDP", "application/sdp ; charset=utf-8"] {
      #expect(try found("v=0", type) == "v=0\r\n")
    }
    #expect(try SDPBody.find(in: [], contentType: nil) == nil)
    #expect(try SDPBody.find(in: [], contentType: Array("text/plain".utf8)[...]) == nil)
  }

  @Test("RFC 3261 §21.4.13: another type, or none, is 415")
  func unsupported() {
    #expect(failure { _ = try found("x", "text/plain") }?.status == 415)
    #expect(failure { _ = try found("x", nil) }?.status == 415)
    #expect(failure { _ = try found("x", "application/sdpx") }?.status == 415)
  }

  private let mixed = """
    preamble
    --uniqueBoundary
    Content-Type: application/isup; version=nxv3

    binary
    --uniqueBoundary
    Content-Type: application/SDP
    Content-Disposition: session

    v=0
    m=audio 4000 RTP/AVP 0
    --uniqueBoundary--
    epilogue
    """

  @Test("RFC 5621 §3.1: the session description of a multipart/mixed")
  func multipart() throws {
    let expected = "v=0\r\nm=audio 4000 RTP/AVP 0\r\n"
    #expect(try found(mixed, "multipart/mixed;boundary=uniqueBoundary") == expected)
    #expect(try found(mixed, "Multipart/Mixed; x=y; boundary=\"uniqueBoundary\"") == expected)
    #expect(
      try found(mixed.replacing("--uniqueBoundary--\nepilogue", with: ""), "multipart/mixed;boundary=uniqueBoundary")
        == expected + "\r\n")
  }

  @Test("RFC 2046 §5.1: a multipart that says no boundary, or has no SDP")
  func broken() {
    #expect(failure { _ = try found(mixed, "multipart/mixed") }?.status == 400)
    #expect(failure { _ = try found(mixed, "multipart/mixed;boundary=") }?.status == 400)
    #expect(failure { _ = try found(mixed, "multipart/mixed;boundary=other") }?.status == 415)
    #expect(
      failure { _ = try found("x", "multipart/mixed;boundary=\(String(repeating: "b", count: 71))") }?.status == 400)
  }
}
