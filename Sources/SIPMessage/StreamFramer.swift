/// Cuts a byte stream into messages (RFC 3261 §18.3) and keep-alives (RFC 5626 §3.5.1, §4.4.1). Octets may come in any
/// pieces. Memory is bounded by the limits and what one `append` brings, if `next` is called until it gives nil.
///
/// A head whose Content-Length cannot be believed is still delivered, without a body, so that the parser can answer it; the
/// next call throws, and the connection is to be closed: where its next message begins is unknown.
public struct StreamFramer: Sendable {
  public enum Frame: Equatable, Sendable {
    case message([UInt8])
    /// CRLF CRLF: answer it with CRLF.
    case keepAlive
    /// CRLF: the answer to our own keep-alive.
    case pong
  }

  /// Set it when a keep-alive was sent: a single CRLF is then a pong at once. Otherwise it may be the first half of a
  /// keep-alive, and more octets are waited for.
  public var awaitsPong = false
  private let limits: ParserLimits
  private var buffer: [UInt8] = []
  /// Where the present message begins, and up to where its head has been searched for its end.
  private var start = 0
  private var searched = 0
  private var checkedFirstLine = false
  /// The end of the present message, once its head is complete.
  private var messageEnd: Int?
  private var failure: SIPError?

  public init(limits: ParserLimits = .init()) { self.limits = limits }

  public mutating func append(_ bytes: some Collection<UInt8>) {
    guard failure == nil else { return }
    buffer.append(contentsOf: bytes)
  }

  /// Octets that wait for the rest of their message: with any of them, a peer that stays silent is to be cut off.
  public var pending: Int { buffer.count &- start }

  /// The next frame; nil until more octets come. Throws for ever once the stream cannot be followed.
  public mutating func next() throws(SIPError) -> Frame? {
    if let failure { throw failure }
    do {
      return try frame()
    } catch {
      fail(error)
      throw error
    }
  }

  private mutating func fail(_ error: SIPError) {
    failure = error
    buffer = []
    start = 0
  }

  private mutating func frame() throws(SIPError) -> Frame? {
    if messageEnd == nil {
      if let blank = try leadingLineEnd() { return blank }
      guard start < buffer.count, buffer[start] != 0x0d else { return nil }
      let limit = min(buffer.count, start &+ min(limits.maxHeaderBytes, Int(UInt16.max) - 8))
      if !checkedFirstLine { checkedFirstLine = try StreamFramer.checkFirstLine(buffer.span, start, limit) }
      guard let head = StreamFramer.headEnd(buffer.span, max(start, searched &- 3), limit) else {
        searched = limit
        guard limit == buffer.count else { throw SIPError(513, "header section too long", "RFC 3261 §21.5.14") }
        return nil
      }
      let index = HeaderIndex(buffer.span.extracting(start..<head), limits: limits)
      do {
        messageEnd = try head &+ StreamFramer.bodyLength(buffer.span.extracting(start..<head), index, limits)
      } catch {
        let bytes = Array(buffer[start..<head])
        fail(error)
        return .message(bytes)
      }
    }
    guard let end = messageEnd, end <= buffer.count else { return nil }
    let bytes = Array(buffer[start..<end])
    consume(to: end)
    return .message(bytes)
  }

  /// CRLFs before a start line are keep-alives, or noise that RFC 3261 §7.5 has us ignore.
  private mutating func leadingLineEnd() throws(SIPError) -> Frame? {
    guard start < buffer.count, buffer[start] == 0x0d else { return nil }
    guard start &+ 1 < buffer.count else { return nil }
    guard buffer[start &+ 1] == 0x0a else { throw SIPError(400, "CR without LF", "RFC 3261 §7") }
    if awaitsPong {
      awaitsPong = false
      consume(to: start &+ 2)
      return .pong
    }
    guard start &+ 2 < buffer.count else { return nil }
    guard buffer[start &+ 2] == 0x0d else {
      consume(to: start &+ 2)
      return .pong
    }
    guard start &+ 3 < buffer.count else { return nil }
    guard buffer[start &+ 3] == 0x0a else { throw SIPError(400, "CR without LF", "RFC 3261 §7") }
    consume(to: start &+ 4)
    return .keepAlive
  }

  /// What is no SIP is refused at its first line, and not only when 32 KiB of it have come. False: no whole line yet.
  private static func checkFirstLine(_ s: Span<UInt8>, _ start: Int, _ limit: Int) throws(SIPError) -> Bool {
    let error = SIPError(400, "not a SIP message", "RFC 3261 §7.1")
    guard let lf = s.find(0x0a, start, limit) else {
      guard OctetSet.token.contains(s[start]) else { throw error }
      return false
    }
    let end = s.trimEnd(start, lf)
    if end &- start > 7, s.equals("sip/", start, start &+ 4) { return true }
    var word = end
    while word > start, !s[word &- 1].isLWS { word &-= 1 }
    guard StartLine.method(of: s, start..<end) != nil, end &- word > 4, s.equals("sip/", word, word &+ 4) else {
      throw error
    }
    return true
  }

  /// The index after the empty line, if it is between `from` and `limit`.
  private static func headEnd(_ s: Span<UInt8>, _ from: Int, _ limit: Int) -> Int? {
    var i = from
    while i &+ 3 < limit {
      if s[i &+ 3] == 0x0a, s[i &+ 2] == 0x0d, s[i &+ 1] == 0x0a, s[i] == 0x0d { return i &+ 4 }
      i &+= 1
    }
    return nil
  }

  /// Without a Content-Length there is no body (RFC 3261 §20.14 wants one on a stream; some elements forget it).
  private static func bodyLength(
    _ head: Span<UInt8>, _ index: HeaderIndex, _ limits: ParserLimits
  ) throws(SIPError) -> Int {
    // Another fault of the head is the parser's to answer: one bad message need not end a connection that carries others.
    guard let entry = index.first(.contentLength) else {
      if let error = index.error { throw error }
      return 0
    }
    guard index.repeated & (1 &<< UInt64(HeaderName.contentLength.rawValue)) == 0 else {
      throw SIPError(400, "Content-Length is there more than once", "RFC 3261 §7.3.1")
    }
    guard let length = head.decimal(Int(entry.valueStart), Int(entry.valueEnd), max: Int(Int32.max)) else {
      throw SIPError(400, "Content-Length is not a number", "RFC 3261 §20.14")
    }
    guard head.count &+ length <= limits.maxMessage else {
      throw SIPError(513, "Message Too Large", "RFC 3261 §21.5.14")
    }
    return length
  }

  private mutating func consume(to end: Int) {
    start = end
    messageEnd = nil
    checkedFirstLine = false
    if start == buffer.count {
      buffer.removeAll(keepingCapacity: buffer.capacity <= 65536)
      start = 0
    } else if start > 16384 {
      buffer.removeSubrange(..<start)
      start = 0
    }
    searched = start
  }
}
