/// The header fields that the server knows; all others are `other` and keep their name in the line.
/// No more than 64, so that a set of them is one word.
public enum HeaderName: UInt8, Sendable, CaseIterable {
  case via, from, to, callID, cSeq, maxForwards, contact, route, recordRoute, contentType, contentLength
  case contentDisposition, contentEncoding, expires, minExpires, authorization, proxyAuthorization
  case wwwAuthenticate, proxyAuthenticate, authenticationInfo, require, proxyRequire, supported, unsupported
  case allow, accept, acceptEncoding, acceptLanguage, subject, priority, alertInfo, callInfo, userToUser
  case reason, pAssertedIdentity, pPreferredIdentity, privacy, userAgent, server, date, timestamp
  case retryAfter, warning, event, allowEvents, subscriptionState, referTo, referredBy, replaces, rSeq, rAck
  case sessionExpires, minSE, path, serviceRoute, diversion, historyInfo, organization, mimeVersion
  case inReplyTo, replyTo, errorInfo, remotePartyID
  case other

  /// The long form, spelled as its RFC does; empty for `other`.
  public var text: StaticString {
    switch self {
    case .via: "Via"
    case .from: "From"
    case .to: "To"
    case .callID: "Call-ID"
    case .cSeq: "CSeq"
    case .maxForwards: "Max-Forwards"
    case .contact: "Contact"
    case .route: "Route"
    case .recordRoute: "Record-Route"
    case .contentType: "Content-Type"
    case .contentLength: "Content-Length"
    case .contentDisposition: "Content-Disposition"
    case .contentEncoding: "Content-Encoding"
    case .expires: "Expires"
    case .minExpires: "Min-Expires"
    case .authorization: "Authorization"
    case .proxyAuthorization: "Proxy-Authorization"
    case .wwwAuthenticate: "WWW-Authenticate"
    case .proxyAuthenticate: "Proxy-Authenticate"
    case .authenticationInfo: "Authentication-Info"
    case .require: "Require"
    case .proxyRequire: "Proxy-Require"
    case .supported: "Supported"
    case .unsupported: "Unsupported"
    case .allow: "Allow"
    case .accept: "Accept"
    case .acceptEncoding: "Accept-Encoding"
    case .acceptLanguage: "Accept-Language"
    case .subject: "Subject"
    case .priority: "Priority"
    case .alertInfo: "Alert-Info"
    case .callInfo: "Call-Info"
    case .userToUser: "User-to-User"
    case .reason: "Reason"
    case .pAssertedIdentity: "P-Asserted-Identity"
    case .pPreferredIdentity: "P-Preferred-Identity"
    case .privacy: "Privacy"
    case .userAgent: "User-Agent"
    case .server: "Server"
    case .date: "Date"
    case .timestamp: "Timestamp"
    case .retryAfter: "Retry-After"
    case .warning: "Warning"
    case .event: "Event"
    case .allowEvents: "Allow-Events"
    case .subscriptionState: "Subscription-State"
    case .referTo: "Refer-To"
    case .referredBy: "Referred-By"
    case .replaces: "Replaces"
    case .rSeq: "RSeq"
    case .rAck: "RAck"
    case .sessionExpires: "Session-Expires"
    case .minSE: "Min-SE"
    case .path: "Path"
    case .serviceRoute: "Service-Route"
    case .diversion: "Diversion"
    case .historyInfo: "History-Info"
    case .organization: "Organization"
    case .mimeVersion: "MIME-Version"
    case .inReplyTo: "In-Reply-To"
    case .replyTo: "Reply-To"
    case .errorInfo: "Error-Info"
    case .remotePartyID: "Remote-Party-ID"
    case .other: ""
    }
  }

  /// By long or compact name, in any case (RFC 3261 §7.3.1, §7.3.3).
  public init(_ name: Bytes) { self = HeaderNameTable.shared.find(name.span, 0, name.count) }
}
