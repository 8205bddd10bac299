import Glibc

/// A supervisory tone: a cycle of segments, each one a wave or silence (ITU-T E.180).
///
/// A wave is kept as its shortest whole period in both laws of G.711, so that a packet of tone is a copy. All frequencies
/// are whole and 8000 samples are a second: the period has 8000 / gcd(frequencies, 8000) samples.
public final class Tone: Sendable {
  struct Segment: Sendable {
    /// Nil is silence.
    var wave: Wave?
    /// Zero lasts for ever.
    var samples: Int
  }

  struct Wave: Sendable {
    let pcmu: [UInt8]
    let pcma: [UInt8]
  }

  let segments: [Segment]

  init(segments: [Segment]) { self.segments = segments }

  static func named(_ kind: ToneKind, country: String) -> Tone {
    let table = all[country] ?? all["us"]
    guard let tone = table?[kind] else { preconditionFailure("every country has every tone") }
    return tone
  }

  /// The countries whose tones are known, ISO 3166 in lower case; any other sounds as `us`.
  public static let countries: [String] = ToneTable.rows.keys.sorted()

  private static let all: [String: [ToneKind: Tone]] = ToneTable.rows.mapValues { plan in
    var tones: [ToneKind: Tone] = [:]
    for kind in ToneKind.allCases { tones[kind] = Tone(parsing: plan.text(kind)) }
    return tones
  }

  /// `440+480/2000 0/4000`: frequencies in Hz, `/`, milliseconds; `0` is silence, no time is for ever, `400*16` is 400 Hz
  /// modulated by 16 Hz.
  convenience init(parsing text: String) {
    let segments = text.split(separator: " ").map { part -> Segment in
      let halves = part.split(separator: "/")
      let samples = halves.count > 1 ? (Int(halves[1]) ?? 0) * 8 : 0
      guard let spec = halves.first, spec != "0" else { return Segment(wave: nil, samples: samples) }
      if let star = spec.firstIndex(of: "*") {
        let carrier = Int(spec[..<star]) ?? 0
        return Segment(
          wave: Wave(carrier: carrier, modulation: Int(spec[spec.index(after: star)...]) ?? 0), samples: samples)
      }
      return Segment(wave: Wave(frequencies: spec.split(separator: "+").compactMap { Int($0) }), samples: samples)
    }
    self.init(segments: segments)
  }
}

extension Tone.Wave {
  /// −13 dBm0 a frequency, within E.180's −10 ± 5 dBm0 for one and for two. A full-scale sine is +3.17 dBm0.
  private static let amplitude = 32124 * pow(10, (-13 - 3.17) / 20)

  init(frequencies: [Int]) {
    let period = 8000 / frequencies.reduce(8000, Tone.Wave.gcd)
    self.init(period: period) { time in
      frequencies.reduce(0) { $0 + Self.amplitude * sin(2 * Double.pi * Double($1) * time) }
    }
  }

  init(carrier: Int, modulation: Int) {
    let period = 8000 / Self.gcd(Self.gcd(8000, carrier), modulation)
    self.init(period: period) { time in
      Self.amplitude * sin(2 * Double.pi * Double(carrier) * time)
        * (1 - 0.85 * cos(2 * Double.pi * Double(modulation) * time))
    }
  }

  private init(period: Int, _ value: (Double) -> Double) {
    let samples = (0..<period).map { Int16(max(-32768, min(32767, value(Double($0) / 8000).rounded()))) }
    pcmu = samples.map(G711.encodeMu)
    pcma = samples.map(G711.encodeA)
  }

  private static func gcd(_ a: Int, _ b: Int) -> Int { b == 0 ? a : gcd(b, a % b) }
}
