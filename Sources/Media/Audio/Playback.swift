/// What a generator has to say, 20 ms at a time.
enum Playback {
  /// The file is being read; nothing is sent.
  case loading
  case silence
  case tone(TonePlayer)
  case clips(ClipPlayer)

  static let frame = 160

  var isLoading: Bool {
    if case .loading = self { true } else { false }
  }

  /// Nothing is left of a file.
  var isOver: Bool {
    if case .clips(let player) = self { player.isOver } else { false }
  }

  /// Fills one frame. False: there is nothing left, and `out` was not touched.
  mutating func fill(_ out: UnsafeMutablePointer<UInt8>, _ law: G711Law) -> Bool {
    switch self {
    case .loading:
      return false
    case .silence:
      out.update(repeating: G711.silenceByte(law), count: Self.frame)
      return true
    case .tone(var player):
      player.fill(out, law)
      self = .tone(player)
      return true
    case .clips(var player):
      let more = player.fill(out, law)
      self = .clips(player)
      return more
    }
  }

  /// Passes over frames that are not sent, so that what follows is where it would be.
  mutating func skip(frames: Int) {
    switch self {
    case .loading, .silence: break
    case .tone(var player):
      player.skip(samples: frames * Self.frame)
      self = .tone(player)
    case .clips(var player):
      player.skip(samples: frames * Self.frame)
      self = .clips(player)
    }
  }
}

struct TonePlayer {
  let tone: Tone
  private var segment = 0
  /// Samples of the segment that are out.
  private var position = 0

  init(_ tone: Tone) { self.tone = tone }

  mutating func fill(_ out: UnsafeMutablePointer<UInt8>, _ law: G711Law) {
    var at = 0
    while at < Playback.frame {
      let here = tone.segments[segment]
      let count = here.samples == 0 ? Playback.frame - at : min(Playback.frame - at, here.samples - position)
      if let wave = here.wave {
        let table = law == .pcmu ? wave.pcmu : wave.pcma
        var phase = position % table.count
        for i in at..<(at + count) {
          out[i] = table[phase]
          phase += 1
          if phase == table.count { phase = 0 }
        }
      } else {
        (out + at).update(repeating: G711.silenceByte(law), count: count)
      }
      at += count
      advance(count)
    }
  }

  mutating func skip(samples: Int) {
    var left = samples
    while left > 0 {
      let here = tone.segments[segment]
      let count = here.samples == 0 ? left : min(left, here.samples - position)
      advance(count)
      left -= count
    }
  }

  private mutating func advance(_ count: Int) {
    position += count
    let here = tone.segments[segment]
    if here.samples == 0 {
      // For ever: only the phase counts. 8000 is a whole number of periods of any wave.
      position %= 8000
    } else if position >= here.samples {
      position = 0
      segment = (segment + 1) % tone.segments.count
    }
  }
}

struct ClipPlayer {
  let clips: [AudioClip]
  let loop: Bool
  private var index = 0
  private var position = 0

  init(_ clips: [AudioClip], loop: Bool) {
    self.clips = clips.filter { $0.samples > 0 }
    self.loop = loop
  }

  var isOver: Bool { index >= clips.count }

  /// The last frame is filled up with silence.
  mutating func fill(_ out: UnsafeMutablePointer<UInt8>, _ law: G711Law) -> Bool {
    guard index < clips.count else { return false }
    var at = 0
    while at < Playback.frame {
      guard index < clips.count else {
        (out + at).update(repeating: G711.silenceByte(law), count: Playback.frame - at)
        break
      }
      let clip = clips[index]
      let count = min(Playback.frame - at, clip.samples - position)
      (law == .pcmu ? clip.pcmu : clip.pcma).withUnsafeBufferPointer { table in
        if let base = table.baseAddress { (out + at).update(from: base + position, count: count) }
      }
      at += count
      advance(count)
    }
    return true
  }

  mutating func skip(samples: Int) {
    var left = samples
    while left > 0, index < clips.count {
      let count = min(left, clips[index].samples - position)
      advance(count)
      left -= count
    }
  }

  private mutating func advance(_ count: Int) {
    position += count
    guard position >= clips[index].samples else { return }
    position = 0
    index += 1
    if index == clips.count, loop { index = 0 }
  }
}
