import NetCore

/// One source of packets of our own: a prompt, a tone, or the ring-back that early media may replace. Paced by an
/// absolute schedule: each frame is due 20 ms after the one before, however late the thread was.
struct Generator {
  let slot: Int
  /// Names the generator as a source in the leg's `SendStream`, and its load.
  let key: UInt64
  let source: AudioSource
  var playback: Playback
  /// When the next frame belongs on the wire.
  var due: Instant
  /// Frames that fell due while nothing could be sent in time.
  var skipped: UInt32 = 0
  var role: Role

  enum Role {
    case play(token: UInt32)
    case ringback(Ringback)
  }

  static let interval = Instant.Span.milliseconds(20)
  /// More than so many frames are never sent in one go; what is older is left out.
  static let maxBurst: Int64 = 3

  /// Moves the schedule so that at most `maxBurst` frames are due at `now`.
  mutating func catchUp(now: Instant) {
    let behind = (now - due).nanoseconds / Self.interval.nanoseconds
    guard behind >= Self.maxBurst else { return }
    let frames = behind - Self.maxBurst + 1
    due = due + Self.interval * frames
    playback.skip(frames: Int(frames))
    skipped &+= UInt32(truncatingIfNeeded: frames)
  }
}

/// The part of a ring-back that decides who is heard.
struct Ringback {
  /// As the callees number it.
  var promised: UInt8
  var map: PayloadMap
  /// The legs whose early media may take over.
  var from: [MediaEndpointID]
  /// The one that has.
  var active: UInt32?
  var lastHeard = Instant.zero

  static let packetsToTakeOver: UInt8 = 3
  static let fallback = Instant.Span.seconds(6)
}
