/// Why a session description cannot be used: the status to answer with and the Warning that goes with it.
public struct SDPError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The status of the answer: 400 malformed, 413 too large, 415 not SDP, 488 understood but not acceptable.
  public var status: Int
  /// The warn-code of RFC 3261 §20.43, or nil where no Warning is due.
  public var warning: Int?
  /// What is wrong, in ASCII without quotes, backslashes or line ends: fit for a reason phrase and a warn-text.
  public var text: String
  /// The clause that says so, as in `RFC 8866 §5.7`.
  public var section: String

  public init(status: Int, warning: Int? = nil, text: String, section: String) {
    self.status = status
    self.warning = warning
    self.text = text
    self.section = section
  }

  public var description: String { "\(status) \(text) (\(section))" }

  /// The value of a Warning header: `304 nightjar.local "Media type not available"`; nil without a warn-code.
  /// `agent` is a host name or pseudonym (RFC 3261 §25.1 `warn-agent`); anything else in it is dropped.
  public func warningValue(agent: String) -> String? {
    guard let warning else { return nil }
    let clean = agent.utf8.filter { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: ",") }
    return "\(warning) \(clean.isEmpty ? "-" : String(decoding: clean, as: UTF8.self)) \"\(text)\""
  }
}

extension SDPError {
  static func malformed(_ text: String, _ section: String) -> SDPError {
    SDPError(status: 400, text: text, section: section)
  }

  static func tooLarge(_ text: String) -> SDPError {
    SDPError(status: 413, text: text, section: "RFC 3261 §21.4.11")
  }

  static func notAcceptable(_ warning: Int, _ text: String, _ section: String) -> SDPError {
    SDPError(status: 488, warning: warning, text: text, section: section)
  }

  /// 488 with Warning 305: the two sides have no codec in common (RFC 3264 §6).
  public static let noCommonCodec = notAcceptable(305, "Incompatible media format", "RFC 3264 §6")
  /// 488 with Warning 304: there is no audio, or every audio stream has port 0.
  public static let noAudio = notAcceptable(304, "Media type not available", "RFC 3264 §6")
  /// 488 with Warning 302: audio over SRTP, DTLS or TCP only.
  public static let incompatibleTransport = notAcceptable(
    302, "Incompatible transport protocol", "RFC 3261 §20.43")
  /// 488 with Warning 301: the media address is a host name, or of a kind that this server does not send to.
  public static func incompatibleAddress(_ what: String) -> SDPError {
    notAcceptable(301, "Incompatible network address formats: \(what)", "RFC 8866 §5.7")
  }
}
