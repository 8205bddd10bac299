/// Questions about a message that need no copy of what it says.
extension Message {
  /// What the head of a response to this request takes at most (`MessageWriter.response`), for a writer that is to
  /// allocate once and no more than it needs: the fields that are repeated, the status line, a tag, `rport` and
  /// `received`.
  public var responseHeadSize: Int {
    var size = 192
    for entry in entries {
      switch entry.name {
      case .via, .from, .to, .callID, .cSeq, .timestamp: size &+= Int(entry.valueEnd &- entry.valueStart) &+ 14
      default: break
      }
    }
    return size
  }

  /// What the fields of that name take in a copy (`MessageWriter.copyAll`).
  public func size(of name: HeaderName) -> Int {
    guard has(name) else { return 0 }
    var size = 0
    for entry in entries where entry.name == name { size &+= Int(entry.valueEnd &- entry.lineStart) &+ 2 }
    return size
  }

  /// The one address of that name, as Contact has to have in a request or response that makes a dialog; nil if there is
  /// none.
  /// - Throws: what is malformed, and with status 400 a second address.
  public func oneAddress(_ name: HeaderName) throws(SIPError) -> NameAddress? {
    guard has(name) else { return nil }
    var found: NameAddress?
    for entry in entries where entry.name == name {
      let value = value(entry)
      do throws(SIPError) {
        let (layout, end) = try NameAddressLayout.parse(value.span, 0, value.count)
        guard end == value.count, found == nil else {
          throw SIPError(400, "more than one address", "RFC 3261 §8.1.1.8")
        }
        found = NameAddress(bytes: value, layout: layout)
      } catch {
        throw error.inside("\(name.text)")
      }
    }
    return found
  }
}
