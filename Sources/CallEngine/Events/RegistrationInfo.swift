import SIPMessage

/// A user's bindings as `application/reginfo+xml` (RFC 3680 §5). The first document of a subscription has all of them,
/// those that follow only what has changed.
enum RegistrationInfo {
  /// - Parameters:
  ///   - sent: what the watcher knows; nil: nothing yet, so that the state is full.
  ///   - bindings: what is in force.
  static func document(
    of entity: [UInt8], version: Int, sent: [Binding]?, bindings: [Binding], nowSeconds: Int64
  ) -> [UInt8] {
    var xml = XMLWriter("<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\"")
    xml.attribute("version", number: version)
    xml.attribute("state", (sent == nil ? "full" : "partial").utf8)
    xml.raw(">\n<registration")
    xml.attribute("aor", entity)
    xml.raw(" id=\"")
    xml.hex(OctetTable<Int>.hash(entity[...]))
    xml.raw("\"")
    let had = sent?.isEmpty == false
    xml.attribute("state", (!bindings.isEmpty ? "active" : had ? "terminated" : "init").utf8)
    xml.raw(">\n")
    for binding in bindings {
      guard let sent else {
        contact(binding, "active", "registered", nowSeconds, &xml)
        continue
      }
      guard let known = sent.first(where: { $0.contact == binding.contact }) else {
        contact(binding, "active", "created", nowSeconds, &xml)
        continue
      }
      if known.expires != binding.expires || known.cseq != binding.cseq {
        contact(binding, "active", known.expires > binding.expires ? "shortened" : "refreshed", nowSeconds, &xml)
      }
    }
    for gone in sent ?? [] where !bindings.contains(where: { $0.contact == gone.contact }) {
      contact(gone, "terminated", gone.expires <= nowSeconds ? "expired" : "unregistered", nowSeconds, &xml)
    }
    xml.raw("</registration>\n</reginfo>\n")
    return xml.bytes
  }

  private static func contact(
    _ binding: Binding, _ state: StaticString, _ event: StaticString, _ nowSeconds: Int64, _ xml: inout XMLWriter
  ) {
    xml.raw("<contact id=\"")
    xml.hex(OctetTable<Int>.hash(binding.contact))
    xml.raw("\" state=\"")
    xml.raw(state)
    xml.raw("\" event=\"")
    xml.raw(event)
    xml.raw("\"")
    if state.description == "active" {
      xml.attribute("expires", number: Int(binding.remaining(nowSeconds: nowSeconds)))
    }
    if let q = binding.q {
      xml.attribute("q", (q == 1000 ? "1" : "0." + String(String(q + 1000).dropFirst())).utf8)
    }
    xml.raw(">\n")
    xml.element("uri", binding.contact)
    if let instance = binding.instanceID {
      xml.raw("<unknown-param name=\"+sip.instance\">")
      // As it stands in a Contact (RFC 5627 §11.2.2): quoted.
      xml.text(QuotedString.encode(instance))
      xml.raw("</unknown-param>\n")
    }
    xml.raw("</contact>\n")
  }
}
