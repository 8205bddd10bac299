import Glibc
import NetCore
import Testing

@testable import Media

@Suite struct ToneTests {
  struct Expectation: Sendable, CustomTestStringConvertible {
    var kind: ToneKind
    var country: String
    var frequencies: [Double]
    /// Milliseconds on and off, one cycle; none for a tone without a pause.
    var cadence: [Int]
    var testDescription: String { "\(country) \(kind)" }
  }

  static let table: [Expectation] = [
    .init(kind: .ringing, country: "us", frequencies: [440, 480], cadence: [2000, 4000]),
    .init(kind: .busy, country: "us", frequencies: [480, 620], cadence: [500, 500]),
    .init(kind: .congestion, country: "us", frequencies: [480, 620], cadence: [250, 250]),
    .init(kind: .dial, country: "us", frequencies: [350, 440], cadence: []),
    .init(kind: .ringing, country: "gb", frequencies: [400, 450], cadence: [400, 200, 400, 2000]),
    .init(kind: .busy, country: "gb", frequencies: [400], cadence: [375, 375]),
    .init(kind: .congestion, country: "gb", frequencies: [400], cadence: [400, 350, 225, 525]),
    .init(kind: .ringing, country: "cn", frequencies: [450], cadence: [1000, 4000]),
    .init(kind: .busy, country: "cn", frequencies: [450], cadence: [350, 350]),
    .init(kind: .congestion, country: "cn", frequencies: [450], cadence: [700, 700]),
    .init(kind: .ringing, country: "de", frequencies: [425], cadence: [1000, 4000]),
    .init(kind: .busy, country: "de", frequencies: [425], cadence: [480, 480]),
    .init(kind: .congestion, country: "de", frequencies: [425], cadence: [240, 240]),
    .init(kind: .ringing, country: "fr", frequencies: [440], cadence: [1500, 3500]),
    .init(kind: .busy, country: "fr", frequencies: [440], cadence: [500, 500]),
    .init(kind: .ringing, country: "jp", frequencies: [384, 400, 416], cadence: [1000, 2000]),
    .init(kind: .busy, country: "jp", frequencies: [400], cadence: [500, 500]),
  ]

  /// Samples of a tone, through the very player that feeds RTP, decoded again.
  private func play(_ tone: Tone, milliseconds: Int, _ law: G711Law) -> [Int16] {
    var player = TonePlayer(tone)
    var frame = [UInt8](repeating: 0, count: 160)
    var samples: [Int16] = []
    for _ in 0..<(milliseconds / 20) {
      frame.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { player.fill(base, law) } }
      samples += frame.map { G711.decode($0, law) }
    }
    return samples
  }

  @Test("ITU-T E.180: frequencies, by Goertzel on what was decoded", arguments: table, [G711Law.pcmu, .pcma])
  func frequencies(expected: Expectation, law: G711Law) {
    let on = expected.cadence.first ?? 1000
    let samples = play(Tone.named(expected.kind, country: expected.country), milliseconds: 2000, law)
      .prefix(on * 8).map(Double.init)
    let shares = expected.frequencies.map { Goertzel.power(samples, $0) }
    #expect(shares.reduce(0, +) > 0.97, "\(shares)")
    #expect(shares.allSatisfy { $0 > 0.05 })
    // −10 ± 5 dBm0 (§2); full scale is +3.17 dBm0 for a sine.
    let rms = (samples.reduce(0) { $0 + $1 * $1 } / Double(samples.count)).squareRoot()
    let level = 20 * log10(rms * 2.0.squareRoot() / 32124) + 3.17
    #expect(abs(level + 10) <= 5, "\(level) dBm0")
  }

  @Test("ITU-T E.180: cadences, to the millisecond, over three cycles", arguments: table)
  func cadence(expected: Expectation) {
    guard !expected.cadence.isEmpty else { return }
    let cycle = expected.cadence.reduce(0, +)
    let samples = play(
      Tone.named(expected.kind, country: expected.country), milliseconds: (3 * cycle + 19) / 20 * 20, .pcmu)
    // A quarter of a millisecond of zeros within a tone is a zero crossing; a whole one is a pause.
    var sounding: [Bool] = []
    for millisecond in 0..<(3 * cycle) {
      let from = max(0, millisecond * 8 - 8)
      let to = min(samples.count, millisecond * 8 + 16)
      sounding.append(
        samples[(millisecond * 8)..<(millisecond * 8 + 8)].contains { abs($0) > 100 }
          || (samples[from..<to].contains { abs($0) > 1500 } && samples[millisecond * 8] != 0))
    }
    var at = 0
    for _ in 0..<3 {
      for (index, length) in expected.cadence.enumerated() {
        let part = sounding[at..<(at + length)]
        // The modulated tone of Japan fades within 32 ms and back.
        let share = Double(part.count { $0 == (index % 2 == 0) }) / Double(length)
        #expect(share > 0.97, "segment \(index) at \(at) ms: \(share)")
        at += length
      }
    }
  }

  @Test("every country has every tone, and an unknown one sounds as us")
  func countries() {
    for country in ["us", "gb", "cn", "de", "fr", "jp"] { #expect(Tone.countries.contains(country)) }
    for country in Tone.countries {
      for kind in ToneKind.allCases { #expect(!Tone.named(kind, country: country).segments.isEmpty) }
    }
    #expect(Tone.named(.busy, country: "xx") === Tone.named(.busy, country: "us"))
  }

  @Test("skipping frames keeps the cadence where it would be")
  func skipping() {
    let tone = Tone.named(.ringing, country: "gb")
    var frame = [UInt8](repeating: 0, count: 160)
    for frames in [1, 7, 29, 30, 31, 149, 150, 151, 1000] {
      var walked = TonePlayer(tone)
      for _ in 0..<frames { frame.withUnsafeMutableBufferPointer { walked.fill($0.baseAddress!, .pcmu) } }
      var jumped = TonePlayer(tone)
      jumped.skip(samples: frames * 160)
      var other = frame
      frame.withUnsafeMutableBufferPointer { walked.fill($0.baseAddress!, .pcmu) }
      other.withUnsafeMutableBufferPointer { jumped.fill($0.baseAddress!, .pcmu) }
      #expect(frame == other)
    }
  }
}
