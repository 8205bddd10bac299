import NetCore
import SIPMessage
import SIPTransaction

/// A request that the server makes outside of any call: OPTIONS to a trunk, REGISTER at a carrier, MESSAGE, and the
/// first of a dialog of its own.
struct OwnRequest {
  var method: Method
  /// Where it goes, and by which of our sockets.
  var flow: Flow
  var requestURI: [UInt8]
  /// Whole values of From and To, tags included.
  var from: [UInt8]
  var to: [UInt8]
  var callID: [UInt8]
  var cseq: UInt32 = 1
  /// Values of Route, first hop first.
  var routes: [[UInt8]] = []
  var maxForwards = 70
  /// With our Contact: what makes a dialog needs it.
  var hasContact = false
  var body: [UInt8] = []
  var contentType: [UInt8]?
}

extension CallShard {
  /// Sends a request in a transaction of its own.
  /// - Parameters:
  ///   - more: writes further header fields.
  ///   - done: told every response; 408 or 503 without a message where none came. Not called for a request that
  ///     outlives the shard.
  @discardableResult
  func send(
    _ request: OwnRequest, _ more: (inout MessageWriter) -> Void = { _ in },
    done: @escaping (_ status: Int, _ response: Message?) -> Void = { _, _ in }
  ) -> ClientTransactionID {
    let (id, branch) = table.reserveClient()
    var writer = MessageWriter(
      capacity: 320 + 2 * request.requestURI.count + request.from.count + request.to.count + request.callID.count
        + request.body.count)
    writer.requestLine(request.method, uri: request.requestURI[...])
    via(&writer, request.flow, branch)
    for route in request.routes { writer.header(.route, route[...]) }
    writer.header(.maxForwards, number: request.maxForwards)
    writer.header(.from, request.from[...])
    writer.header(.to, request.to[...])
    writer.header(.callID, request.callID[...])
    writer.begin(.cSeq)
    writer.append(number: Int(request.cseq))
    writer.append(" ")
    writer.append(request.method.name)
    writer.endLine()
    if request.hasContact { writer.header(.contact, contact(of: request.flow)) }
    more(&writer)
    if let type = request.contentType, !request.body.isEmpty { writer.header(.contentType, type[...]) }
    writer.finish(body: request.body[...])
    own(id, .own(done))
    table.send(id, method: request.method, bytes: writer.bytes, flow: request.flow, now: now, wheel: &wheel)
    return id
  }

  /// A Call-ID of our own that leads back to this shard nowhere: only tags and branches name shards.
  func mintCallID() -> [UInt8] { mint(slot: CallShard.noSlot, generation: 0).hex }
}
