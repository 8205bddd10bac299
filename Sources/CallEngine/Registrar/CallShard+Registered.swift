import NetCore
import SIPMessage

extension CallShard {
  /// Seconds within which a phone is to let us hear from its flow (RFC 5626 §4.4.1, §5.4): what a NAT forgets over UDP
  /// sooner than over a connection.
  private static let flowTimer = (datagrams: 29, streams: 120)

  /// Extensions that a REGISTER may require of us.
  static func isRegistrarTag(_ tag: Bytes) -> Bool {
    let tag = tag.map(\.asciiLower)
    return tag.elementsEqual("path".utf8) || tag.elementsEqual("outbound".utf8)
  }

  /// What the 200 to a REGISTER says besides the contacts.
  func registered(_ request: Message, _ writer: inout MessageWriter) {
    // RFC 3327 §5.3: who understands Path is told the one that is kept.
    if request.has(.path), request.hasToken("path", in: .supported) {
      for value in request.values(.path) { writer.header(.path, value) }
    }
    for route in settings.registrar.serviceRoutes { writer.header(.serviceRoute, route[...]) }
    guard request.hasToken("outbound", in: .supported), hasFlow(request) else { return }
    // RFC 5626 §6: only where it was done.
    writer.header(.require, "outbound" as StaticString)
    guard request.hasOneVia else { return }
    let isStream = request.flow.transport.isReliable
    writer.append("Flow-Timer: ")
    writer.append(number: isStream ? CallShard.flowTimer.streams : CallShard.flowTimer.datagrams)
    writer.endLine()
  }

  /// It made a binding of instance and `reg-id`; a REGISTER that was carried out either did or had none.
  private func hasFlow(_ request: Message) -> Bool {
    guard let contacts = try? request.addresses(.contact), contacts.count == 1, let contact = contacts.first else {
      return false
    }
    return Registration.isFlow(contact)
  }
}
