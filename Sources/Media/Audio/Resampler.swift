import Glibc

/// Any rate to 8 kHz by a linear-phase low-pass: a Kaiser-windowed sinc, kept as one filter for each phase that the
/// output can have between two input samples.
struct Resampler {
  /// Zero crossings on each side; with β = 8 some 80 dB of what would alias is taken away.
  private static let crossings = 24
  private static let beta = 8.0
  /// Rates that share no great divisor with 8000 get the nearest of so many phases.
  private static let maxPhases = 1024

  private let inputRate: Int
  private let phases: Int
  private let taps: Int
  private let halfWidth: Int
  private let filters: [Float]

  /// `inputRate` in Hz, 1000…384,000.
  init(inputRate: Int) {
    self.inputRate = inputRate
    let divisor = Self.gcd(inputRate, 8000)
    phases = min(8000 / divisor, Self.maxPhases)
    // The pass band ends a little below the lower of the two Nyquist frequencies.
    let cutoff = min(1, 8000 / Double(inputRate)) * 0.94
    halfWidth = Int((Double(Self.crossings) / cutoff).rounded(.up))
    taps = 2 * halfWidth
    var filters = [Float](repeating: 0, count: phases * taps)
    for phase in 0..<phases {
      let fraction = Double(phase) / Double(phases)
      var sum = 0.0
      var row = [Double](repeating: 0, count: taps)
      for tap in 0..<taps {
        // Distance from the output's place to input sample (floor − halfWidth + 1 + tap).
        let distance = Double(tap - halfWidth + 1) - fraction
        let x = distance * cutoff
        let sinc = abs(x) < 1e-9 ? 1 : sin(Double.pi * x) / (Double.pi * x)
        let edge = distance / Double(halfWidth)
        let window = abs(edge) >= 1 ? 0 : Self.bessel(Self.beta * (1 - edge * edge).squareRoot())
        row[tap] = sinc * window
        sum += row[tap]
      }
      // Each phase has a gain of one at 0 Hz.
      for tap in 0..<taps { filters[phase * taps + tap] = Float(row[tap] / sum) }
    }
    self.filters = filters
  }

  /// The samples at 8 kHz, in time with the input: nothing is delayed.
  func resample(_ input: [Float]) -> [Int16] {
    let outputCount = Int((Int64(input.count) * 8000 + Int64(inputRate) - 1) / Int64(inputRate))
    var output = [Int16](repeating: 0, count: outputCount)
    input.withUnsafeBufferPointer { input in
      filters.withUnsafeBufferPointer { filters in
        for i in 0..<outputCount {
          let place = i * inputRate
          var base = place / 8000
          var phase = (place % 8000 * phases + 4000) / 8000
          if phase == phases {
            phase = 0
            base += 1
          }
          let start = base - halfWidth + 1
          let from = max(0, -start)
          let to = min(taps, input.count - start)
          var sum: Float = 0
          var tap = from
          while tap < to {
            sum += input[start + tap] * filters[phase * taps + tap]
            tap += 1
          }
          output[i] = Self.sample(sum)
        }
      }
    }
    return output
  }

  /// ±1 to 16 bits, clipped.
  static func sample(_ value: Float) -> Int16 {
    let scaled = (value * 32768).rounded()
    guard scaled == scaled else { return 0 }
    return Int16(max(-32768, min(32767, scaled)))
  }

  /// Modified Bessel function of order 0.
  private static func bessel(_ x: Double) -> Double {
    var sum = 1.0
    var term = 1.0
    var k = 1.0
    while term > sum * 1e-12 {
      term *= (x / (2 * k)) * (x / (2 * k))
      sum += term
      k += 1
    }
    return sum
  }

  private static func gcd(_ a: Int, _ b: Int) -> Int { b == 0 ? a : gcd(b, a % b) }
}
