public import NetCore

/// One thing that a phone does about an INVITE that comes in.
public struct PhoneStep: Sendable {
  public enum Action: Sendable {
    /// A response; a body makes it SDP.
    case respond(status: Int, headers: [String], body: [UInt8])
    /// BYE, once the call is answered.
    case hangUp
  }

  /// After the step before it; the first after the INVITE.
  public var after: Instant.Span
  public var action: Action

  public init(after: Instant.Span, action: Action) {
    self.after = after
    self.action = action
  }

  /// - Parameter headers: whole lines without CRLF, such as `Reason: …`.
  public static func respond(
    _ status: Int, after: Instant.Span = .zero, headers: [String] = [], body: [UInt8] = []
  ) -> PhoneStep {
    PhoneStep(after: after, action: .respond(status: status, headers: headers, body: body))
  }

  public static func hangUp(after: Instant.Span) -> PhoneStep { PhoneStep(after: after, action: .hangUp) }
}

/// What a phone does about each INVITE that comes in.
public struct PhoneScript: Sendable {
  public var steps: [PhoneStep]

  public init(_ steps: [PhoneStep]) { self.steps = steps }

  /// Rings at once and answers after `seconds`, with `body` as SDP; empty: the phone's own.
  public static func answer(after span: Instant.Span, body: [UInt8] = []) -> PhoneScript {
    PhoneScript([.respond(180), .respond(200, after: span, body: body)])
  }

  /// Rings, and is never picked up.
  public static let ringOnly = PhoneScript([.respond(180)])

  /// Refuses at once.
  public static func reject(_ status: Int, headers: [String] = []) -> PhoneScript {
    PhoneScript([.respond(status, headers: headers)])
  }

  /// Says nothing at all but 100.
  public static let silent = PhoneScript([])
}

/// SDP as a simple phone writes it.
public enum PhoneSDP {
  /// One audio stream.
  /// - Parameter formats: payload types with their `rtpmap`, in order of preference.
  public static func audio(
    _ rtp: Endpoint, formats: [(Int, String)] = [(0, "PCMU/8000"), (8, "PCMA/8000"), (101, "telephone-event/8000")],
    direction: String = "sendrecv", version: Int = 1
  ) -> [UInt8] {
    let family = rtp.ip.family == .v4 ? "IP4" : "IP6"
    var lines = [
      "v=0", "o=- 1000 \(version) IN \(family) \(rtp.ip)", "s=-", "c=IN \(family) \(rtp.ip)", "t=0 0",
      "m=audio \(rtp.port) RTP/AVP \(formats.map { "\($0.0)" }.joined(separator: " "))",
    ]
    for (type, name) in formats { lines.append("a=rtpmap:\(type) \(name)") }
    lines += ["a=ptime:20", "a=\(direction)"]
    return Array((lines.joined(separator: "\r\n") + "\r\n").utf8)
  }
}
