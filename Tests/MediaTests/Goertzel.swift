import Glibc

@testable import Media

/// The share of a block's power that lies at one frequency: 1 for a pure tone of it.
enum Goertzel {
  static func power(_ samples: [Double], _ frequency: Double) -> Double {
    let coefficient = 2 * cos(2 * Double.pi * frequency / 8000)
    var s1 = 0.0
    var s2 = 0.0
    for sample in samples { (s1, s2) = (sample + coefficient * s1 - s2, s1) }
    let total = samples.reduce(0) { $0 + $1 * $1 }
    guard total > 0 else { return 0 }
    return (s1 * s1 + s2 * s2 - coefficient * s1 * s2) * 2 / (total * Double(samples.count))
  }

  static func power(_ payload: [UInt8], _ frequency: Double, _ law: G711Law = .pcmu) -> Double {
    power(payload.map { Double(G711.decode($0, law)) }, frequency)
  }
}
