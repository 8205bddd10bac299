import Glibc
import Testing

@testable import Media

@Suite struct ResamplerTests {
  private func sine(_ frequency: Double, rate: Int, seconds: Double) -> [Float] {
    (0..<Int(Double(rate) * seconds)).map { Float(0.5 * sin(2 * Double.pi * frequency * Double($0) / Double(rate))) }
  }

  private func level(_ samples: some Collection<Int16>) -> Double {
    let sum = samples.reduce(0.0) { $0 + Double($1) * Double($1) }
    return 20 * log10((sum / Double(samples.count)).squareRoot() * 2.0.squareRoot() / 16384)
  }

  @Test("what lies below 3.4 kHz passes unchanged", arguments: [11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
  func passes(rate: Int) {
    for frequency in [200.0, 1000, 3000, 3400] {
      let output = Resampler(inputRate: rate).resample(sine(frequency, rate: rate, seconds: 0.5))
      #expect(abs(output.count - 4000) <= 1)
      let middle = output[500..<3500]
      #expect(abs(level(middle)) < 0.2, "\(frequency) Hz: \(level(middle)) dB")
      #expect(Goertzel.power(middle.map(Double.init), frequency) > 0.999)
    }
  }

  @Test("what would alias is taken away", arguments: [11_025, 16_000, 44_100, 48_000])
  func stops(rate: Int) {
    for frequency in [4600.0, 5000, 5500] {
      let output = Resampler(inputRate: rate).resample(sine(frequency, rate: rate, seconds: 0.5))
      #expect(level(output[500..<3500]) < -60, "\(frequency) Hz")
    }
  }

  @Test("linear phase: nothing is moved in time")
  func phase() {
    for rate in [16_000, 44_100, 48_000] {
      let output = Resampler(inputRate: rate).resample(sine(1000, rate: rate, seconds: 0.2))
      for i in 400..<1200 {
        #expect(abs(Double(output[i]) - 16384 * sin(2 * Double.pi * 1000 * Double(i) / 8000)) < 80)
      }
    }
  }

  @Test("a lower rate is interpolated, and too loud is clipped")
  func edges() {
    let output = Resampler(inputRate: 4000).resample(sine(500, rate: 4000, seconds: 0.5))
    #expect(output.count == 4000 && Goertzel.power(output[500..<3500].map(Double.init), 500) > 0.99)
    #expect(Resampler.sample(3) == .max && Resampler.sample(-3) == .min && Resampler.sample(.nan) == 0)
    #expect(Resampler(inputRate: 44_100).resample([]).isEmpty)
  }
}
