import NetCore
import SIPMessage

/// What a REFER asks for, once it is allowed: plain values, as the call that is transferred may live in another shard.
struct TransferOrder: Sendable {
  /// Where to: the URI of Refer-To without its headers.
  var target: [UInt8]
  /// Attended: the dialog whose other side is the target (RFC 3891).
  var replaces: Replaces?
  /// The context of who asked: what he may dial is what the transfer may dial.
  var context: String
  /// Who asked, as records and scripts name him.
  var transferor: String
  /// The value of Referred-By that goes on (RFC 3892 §2.1).
  var referredBy: [UInt8]

  /// The target's user part, or the whole of it.
  var number: String {
    let user = (try? URI(parsing: target[...]))?.decodedUser ?? []
    return String(decoding: user.isEmpty ? target : user, as: UTF8.self)
  }
}

/// A Refer-To that can be followed, or what is wrong with it.
struct ReferTarget {
  var uri: [UInt8]
  var replaces: Replaces?
  var display: String?

  struct Refusal: Error {
    var status: Int
    var text: String
  }

  /// RFC 3515 §2.1, §2.4.2: exactly one Refer-To; §2.4.3 with RFC 3261 §8.2.2.1: 416 for a scheme we cannot refer to.
  init(_ message: Message) throws(Refusal) {
    let values = message.values(.referTo)
    guard values.count == 1 else {
      throw Refusal(status: 400, text: values.isEmpty ? "No Refer-To" : "More than one Refer-To")
    }
    guard let address = try? NameAddress(parsing: values[0]) else {
      throw Refusal(status: 400, text: "Malformed Refer-To")
    }
    let uri = address.uri
    switch uri.scheme {
    case .sip, .sips, .tel: break
    case .other: throw Refusal(status: 416, text: "Refer-To is no SIP URI")
    }
    if case .some(let method) = uri.parameter("method"), method.map({ !$0.elementsEqual("INVITE".utf8) }) ?? true {
      throw Refusal(status: 403, text: "Only INVITE can be referred to")
    }
    let wanted = uri.headers("Replaces")
    if let value = wanted.first {
      guard wanted.count == 1, let replaces = Replaces(value[...]) else {
        throw Refusal(status: 400, text: "Malformed Replaces in Refer-To")
      }
      self.replaces = replaces
    }
    self.uri = Array(uri.withoutHeaders)
    display = address.displayName
  }
}
