public import SIPMessage
internal import NetCore
internal import SIPDialog
internal import SIPTransaction

/// A request outside of any call, with its digest: SUBSCRIBE, PUBLISH, MESSAGE.
public final class PhoneRequest {
  public let method: Method
  public let target: String
  public let headers: [String]
  public let body: [UInt8]
  /// Every final status, a challenge included.
  public internal(set) var statuses: [Int] = []
  /// The last final response.
  public internal(set) var response: Message?
  public let callID: [UInt8]
  let localTag: [UInt8]
  var cseq: UInt32 = 1
  /// The To-tag of its 2xx: where it made a dialog, what goes on in it.
  var remoteTag: [UInt8]?
  var remoteTarget: String?

  init(
    _ method: Method, _ target: String, headers: [String], body: [UInt8], callID: [UInt8], localTag: [UInt8]
  ) {
    self.method = method
    self.target = target
    self.headers = headers
    self.body = body
    self.callID = callID
    self.localTag = localTag
  }

  public var status: Int? { statuses.last }

  /// A header of the last response.
  public func header(_ name: String) -> String? {
    response?.first(named: name).map { String(decoding: $0, as: UTF8.self) }
  }
}

extension ScriptedPhone {
  /// Sends a request, and again with credentials where it is challenged.
  /// - Parameters:
  ///   - headers: lines without CRLF; one is Content-Type where there is a body.
  ///   - dialog: an earlier request whose dialog this one belongs to.
  @discardableResult
  public func request(
    _ method: Method, _ target: String, headers: [String] = [], body: [UInt8] = [], in dialog: PhoneRequest? = nil
  ) -> PhoneRequest {
    let request = PhoneRequest(
      method, target.contains(":") ? target : "sip:\(target)@\(domain)", headers: headers, body: body,
      callID: dialog?.callID ?? newCallID(), localTag: dialog?.localTag ?? newTag())
    request.remoteTag = dialog?.remoteTag
    request.remoteTarget = dialog?.remoteTarget
    if let dialog {
      dialog.cseq += 1
      request.cseq = dialog.cseq
    }
    send(request, credentials: [])
    return request
  }

  private func send(_ request: PhoneRequest, credentials: [String]) {
    let (id, branch) = table.reserveClient()
    let uri = request.remoteTarget ?? request.target
    let tag = request.remoteTag.map { ";tag=\(String(decoding: $0, as: UTF8.self))" } ?? ""
    var writer = begin(
      request.method, uri: uri, to: "<\(request.target)>\(tag)", callID: request.callID, fromTag: request.localTag,
      cseq: request.cseq, branch: branch)
    for line in request.headers + credentials { writer.append(line + "\r\n") }
    writer.finish(body: request.body[...])
    pending[id] = .request(request)
    table.send(id, method: request.method, bytes: writer.bytes, flow: flow, now: now, wheel: &wheel)
  }

  func receive(_ message: Message, of request: PhoneRequest, _ id: ClientTransactionID) {
    guard message.status >= 200 else { return }
    pending[id] = nil
    request.statuses.append(message.status)
    request.response = message
    if message.status == 407 || message.status == 401, request.statuses.count == 1,
      let credentials = answer(message, method: request.method, uri: request.remoteTarget ?? request.target)
    {
      request.cseq += 1
      return send(request, credentials: [credentials])
    }
    if message.status < 300 {
      request.remoteTag = message.toTag.map { Array($0) }
      request.remoteTarget =
        ((try? message.oneAddress(.contact)) ?? nil).map { String(decoding: $0.uri.bytes, as: UTF8.self) }
        ?? request.remoteTarget
    }
  }

  /// NOTIFYs of the subscription that a SUBSCRIBE made, each once, in order.
  public func notifications(of request: PhoneRequest) -> [Message] {
    requests.filter { $0.method == .notify && $0.callID.elementsEqual(request.callID) }
  }
}
