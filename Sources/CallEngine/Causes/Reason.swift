import SIPMessage

/// Why a request ends something, or a response refuses it, as its Reason header will say (RFC 3326): bytes only once it
/// is written, as most reasons never are.
enum Reason {
  /// `text` replaces Q.850's words.
  case cause(Cause, text: String? = nil)
  /// To the legs that lost a fork (RFC 3326 §3.1).
  case completedElsewhere
  /// The value of a peer's own header, passed on.
  case verbatim([UInt8])
}

extension MessageWriter {
  mutating func reason(_ reason: Reason) {
    begin(.reason)
    switch reason {
    case .cause(let cause, let text):
      append("Q.850;cause=" as StaticString)
      append(number: Int(cause.value))
      append(";text=" as StaticString)
      bytes.appendQuoted((text ?? cause.text).utf8.prefix(256))
    case .completedElsewhere:
      append("SIP;cause=200;text=\"Call completed elsewhere\"" as StaticString)
    case .verbatim(let value):
      appendClean(value)
    }
    endLine()
  }
}
