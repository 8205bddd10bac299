/// What the caller hears while the callee rings; frozen when dialling.
public enum RingbackPolicy: Sendable, Equatable {
  /// The first 18x becomes 180 without SDP; the callee's early media is not passed on.
  case ringing
  /// 180 as 180, 183 with SDP as 183 with SDP through the relay.
  case passthrough
  /// 183 with SDP and the country's ringing tone until the answer.
  case tone
  /// As `tone`, but the callee's own early media takes over.
  case toneUntilMedia
  /// Colour ring-back from a file.
  case play(file: String, loop: Bool, untilMedia: Bool)

  /// The names of the configuration and of scripts.
  public init?(name: String) {
    switch name {
    case "180": self = .ringing
    case "passthrough": self = .passthrough
    case "tone": self = .tone
    case "tone_until_media": self = .toneUntilMedia
    default: return nil
    }
  }

  public static let names = ["180", "passthrough", "tone", "tone_until_media"]

  /// True where the server makes what the caller hears, so that it must be a codec that we can generate.
  var generatesAudio: Bool {
    switch self {
    case .ringing, .passthrough: false
    case .tone, .toneUntilMedia, .play: true
    }
  }

  var yieldsToMedia: Bool {
    switch self {
    case .toneUntilMedia, .play(_, _, untilMedia: true): true
    case .ringing, .passthrough, .tone, .play: false
    }
  }
}
