import NetCore

import NetCore

/// Draws messages as a ladder, a line each as they happen: on the left between the caller and us, on the right between
/// us and his callees, then the peer, and the Reason where one is given.
///
///     ── call 0100002a ───────────────────────────────────────────────────────────────────────
///                 caller                             nightjar                              callee
///     12:00:01.000   │─ INVITE 1001 [PCMU PCMA] ─────────▶│                                    │ 192.0.2.7:5060
///     12:00:01.001   │◀────────────────────── 100 Trying ─│                                    │ 192.0.2.7:5060
///     12:00:01.003   │                                    │─ INVITE 1001 [PCMU PCMA] ─────────▶│ 192.0.2.8:5060
///
/// With several callees each line names its own. Keeps no more than which call was drawn last, so it can run for ever.
public struct Ladder: Sendable {
  /// Columns between two bars.
  private static let span = 36
  /// Columns before the first bar: the time and a gap.
  private static let margin = 15
  private static let width = margin + 2 * span + 3

  private var lastCall: String??

  public init() {}

  /// The lines of one message, without line ends: the line itself, and a heading before it where another call's
  /// message was drawn last.
  public mutating func lines(_ entry: TraceEntry) -> [String] {
    var lines: [String] = []
    if lastCall != .some(entry.call) {
      lastCall = .some(entry.call)
      let title = entry.call.map { "call \($0)" } ?? "no call"
      lines.append("── \(title) " + String(repeating: "─", count: max(2, Ladder.width - 4 - title.utf8.count)))
      lines.append(heading(entry.call == nil))
    }
    lines.append(line(entry))
    return lines
  }

  private func heading(_ alone: Bool) -> String {
    let names = alone ? ["peer", "nightjar", ""] : ["caller", "nightjar", "callee"]
    var text = ""
    for (i, name) in names.enumerated() {
      let start = Ladder.margin + i * (Ladder.span + 1) - name.utf8.count / 2
      text += String(repeating: " ", count: max(0, start - text.utf8.count)) + name
    }
    while text.last == " " { text.removeLast() }
    return text
  }

  private func line(_ entry: TraceEntry) -> String {
    let time = WallTime.clock(entry.wallMs)
    let empty = String(repeating: " ", count: Ladder.span)
    let label = Ladder.label(entry.summary)
    var text: String
    switch entry.side {
    case .caller, .none:
      text = "\(time)   │\(Ladder.arrow(label, right: !entry.sent))│"
      if entry.side == .caller { text += empty + "│" }
    case .callee:
      text = "\(time)   │\(empty)│\(Ladder.arrow(label, right: entry.sent))│"
    }
    text += " "
    if case .callee(let number) = entry.side, number > 1 { text += "callee \(number) " }
    text += entry.peer.description
    if entry.transport != .udp { text += "/" + entry.transport.parameterName }
    if let reason = entry.summary.reason { text += "  " + Ladder.ascii(reason, limit: 60) }
    return text
  }

  /// `─ label ───▶`, or `◀─── label ─`.
  private static func arrow(_ label: String, right: Bool) -> String {
    let text = " \(label) "
    let dashes = String(repeating: "─", count: max(1, span - 2 - text.utf8.count))
    return right ? "─\(text)\(dashes)▶" : "◀\(dashes)\(text)─"
  }

  private static func label(_ summary: MessageSummary) -> String {
    let room = span - 6
    let label = ascii(summary.label, limit: room)
    guard let sdp = summary.sdp else { return label }
    let left = room - label.utf8.count - 3
    return left < 3 ? label : "\(label) [\(ascii(sdp, limit: left))]"
  }

  /// One column a character: what is not ASCII becomes `?`, what is too long ends in `..`.
  private static func ascii(_ text: String, limit: Int) -> String {
    let plain = text.unicodeScalars.map { $0.isASCII && $0.value >= 0x20 && $0.value != 0x7f ? Character($0) : "?" }
    return plain.count <= limit ? String(plain) : String(plain.prefix(max(0, limit - 2))) + ".."
  }
}
