import SIPMessage

/// What one device of a user has published (RFC 3903 §4): what its document says of whether he can be had.
struct Publication: Sendable, Equatable {
  /// Names this state of it; each change makes another (RFC 3903 §6 step 6).
  var tag: [UInt8]
  /// Seconds since 1970.
  var expires: Int64
  var state: PublishedState
}

/// The parts of a presence document that are composed with those of other devices (RFC 3863 §4).
struct PublishedState: Sendable, Equatable {
  /// `basic`; nil where no tuple says it. Open if any tuple is.
  var isOpen: Bool?
  /// The first note, at most `longestNote` octets of it.
  var note: [UInt8] = []
  /// An activity of RFC 4480 says that he is on the phone.
  var isOnPhone = false

  private static let longestNote = 256

  /// Of a document that says nothing.
  init() {}

  /// - Throws: what is no well-formed `presence` document.
  init(parsing document: Bytes) throws(XMLScanner.Malformed) {
    var scanner = XMLScanner(document)
    var path: [[UInt8]] = []
    var words: [UInt8] = []
    while true {
      switch try scanner.next() {
      case .open(let name):
        if path.isEmpty, !name.elementsEqual("presence".utf8) { throw XMLScanner.Malformed() }
        if name.elementsEqual("on-the-phone".utf8), path.last?.elementsEqual("activities".utf8) == true {
          isOnPhone = true
        }
        path.append(name)
        words = []
      case .text(let text):
        if words.count < 4096 { words += text }
      case .close(let name):
        path.removeLast()
        if name.elementsEqual("basic".utf8), path.last?.elementsEqual("status".utf8) == true {
          let value = words[...].trimmedBlanks
          if value.elementsEqual("open".utf8) { isOpen = true }
          if value.elementsEqual("closed".utf8) { isOpen = isOpen ?? false }
        }
        if name.elementsEqual("note".utf8), note.isEmpty { note = PublishedState.cut(words[...].trimmedBlanks) }
        words = []
      case .end: return
      }
    }
  }

  /// Between scalars, so that what is left is still UTF-8.
  private static func cut(_ text: Bytes) -> [UInt8] {
    guard text.count > longestNote else { return Array(text) }
    return Array(String(String(decoding: text.prefix(longestNote), as: UTF8.self).dropLast()).utf8)
  }
}

/// A user's presence as `application/pidf+xml` (RFC 3863), composed of what his devices publish, of whether one of them
/// is registered, and of his calls.
enum PresenceDocument {
  /// - Parameters:
  ///   - published: in force. Where there is any it says whether he is open; without one his bindings do.
  ///   - isTalking: he calls or talks: "on the phone" (RFC 4480 §3.2).
  static func document(
    of entity: [UInt8], published: [Publication], isRegistered: Bool, isTalking: Bool
  ) -> [UInt8] {
    let said = published.compactMap(\.state.isOpen)
    let isOpen = said.isEmpty ? isRegistered : said.contains(true)
    let onPhone = isTalking || published.contains(where: \.state.isOnPhone)
    let note = published.last { !$0.state.note.isEmpty }?.state.note ?? []
    var xml = XMLWriter(
      """
      <presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"\
       xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid"
      """)
    xml.attribute("entity", entity)
    xml.raw(">\n<tuple id=\"t1\">\n<status><basic>")
    xml.raw(isOpen ? "open" : "closed")
    xml.raw("</basic></status>\n")
    xml.element("contact", entity)
    if !note.isEmpty {
      xml.element("note", note)
    } else if onPhone {
      xml.raw("<note>On the phone</note>\n")
    }
    xml.raw("</tuple>\n")
    if onPhone {
      // Some phones know only the first of an activity, and only the plainest words.
      xml.raw("<dm:person id=\"p1\"><rpid:activities><rpid:busy/><rpid:on-the-phone/></rpid:activities></dm:person>\n")
    }
    xml.raw("</presence>\n")
    return xml.bytes
  }
}
