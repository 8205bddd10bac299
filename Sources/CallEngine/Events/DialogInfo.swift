/// A user's calls as `application/dialog-info+xml` (RFC 4235 §4). Every document is full; a call that has ended since the
/// last one is in it once more, as terminated, which some lamps need to go out.
enum DialogInfo {
  /// - Parameter sent: the calls that the last document had as live.
  static func document(
    of entity: [UInt8], version: Int, sent: [UserDialog], dialogs: [UserDialog]
  ) -> [UInt8] {
    var xml = XMLWriter("<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\"")
    xml.attribute("version", number: version)
    xml.raw(" state=\"full\"")
    xml.attribute("entity", entity)
    xml.raw(">\n")
    for dialog in dialogs { write(dialog, of: entity, ended: false, &xml) }
    for gone in sent where !dialogs.contains(where: { $0.id == gone.id }) {
      write(gone, of: entity, ended: true, &xml)
    }
    xml.raw("</dialog-info>\n")
    return xml.bytes
  }

  private static func write(_ dialog: UserDialog, of entity: [UInt8], ended: Bool, _ xml: inout XMLWriter) {
    xml.raw("<dialog id=\"d")
    xml.hex(dialog.id)
    xml.raw(
      dialog.direction == .initiator ? "\" direction=\"initiator\">\n<state>" : "\" direction=\"recipient\">\n<state>")
    if ended {
      xml.raw("terminated")
    } else {
      switch dialog.state {
      case .trying: xml.raw("trying")
      case .early: xml.raw("early")
      case .confirmed: xml.raw("confirmed")
      }
    }
    xml.raw("</state>\n<local><identity>")
    xml.text(entity)
    xml.raw("</identity><target")
    xml.attribute("uri", entity)
    xml.raw("/></local>\n")
    if let remote = dialog.remote {
      xml.raw("<remote><identity")
      if !remote.display.isEmpty { xml.attribute("display", remote.display) }
      xml.raw(">")
      xml.text(remote.uri)
      xml.raw("</identity><target")
      xml.attribute("uri", remote.uri)
      xml.raw("/></remote>\n")
    }
    xml.raw("</dialog>\n")
  }
}
