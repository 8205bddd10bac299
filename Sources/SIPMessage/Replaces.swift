/// The value of a Replaces header (RFC 3891 §6.1): which dialog is to be replaced, as its recipient knows it.
public struct Replaces: Hashable, Sendable {
  public var callID: [UInt8]
  /// The recipient's own tag.
  public var toTag: [UInt8]
  /// The tag of the recipient's peer.
  public var fromTag: [UInt8]
  public var isEarlyOnly: Bool

  public init(callID: [UInt8], toTag: [UInt8], fromTag: [UInt8], isEarlyOnly: Bool = false) {
    self.callID = callID
    self.toTag = toTag
    self.fromTag = fromTag
    self.isEarlyOnly = isEarlyOnly
  }

  /// Nil where one of the three is missing or stands there twice (§6.1: "exactly one to-tag and exactly one from-tag").
  public init?(_ value: Bytes) {
    let value = CommaList.trim(value)
    let end = value.firstIndex(of: UInt8(ascii: ";")) ?? value.endIndex
    let callID = CommaList.trimEnd(value[..<end])
    let parameters = value[end...]
    guard !callID.isEmpty, callID.count <= 512, !callID.contains(where: { $0 <= 0x20 || $0 == UInt8(ascii: ",") })
    else {
      return nil
    }
    let s = parameters.span
    var i = 0
    var tags: (to: [UInt8]?, from: [UInt8]?) = (nil, nil)
    var earlyOnly = false
    while true {
      let parameter: ParameterExtent?
      do { parameter = try s.nextParameter(&i, s.count) } catch { return nil }
      guard let parameter else { break }
      func value() -> [UInt8]? {
        parameter.value.map {
          Array(parameters[(parameters.startIndex + $0.lowerBound)..<(parameters.startIndex + $0.upperBound)])
        }
      }
      if s.equals("to-tag", parameter.name.lowerBound, parameter.name.upperBound) {
        guard tags.to == nil, let tag = value() else { return nil }
        tags.to = tag
      } else if s.equals("from-tag", parameter.name.lowerBound, parameter.name.upperBound) {
        guard tags.from == nil, let tag = value() else { return nil }
        tags.from = tag
      } else if s.equals("early-only", parameter.name.lowerBound, parameter.name.upperBound) {
        earlyOnly = true
      }
    }
    guard i >= s.count, let to = tags.to, let from = tags.from else { return nil }
    self.init(callID: Array(callID), toTag: to, fromTag: from, isEarlyOnly: earlyOnly)
  }

  /// The same dialog seen from its other end.
  public var swapped: Replaces {
    Replaces(callID: callID, toTag: fromTag, fromTag: toTag, isEarlyOnly: isEarlyOnly)
  }
}
