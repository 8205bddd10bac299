/// Audio that is ready to be sent: 8 kHz, mono, in both laws of G.711.
public final class AudioClip: Sendable {
  let pcmu: [UInt8]
  let pcma: [UInt8]

  /// Samples of 16 bits at 8 kHz.
  init(_ samples: [Int16]) {
    pcmu = samples.map(G711.encodeMu)
    pcma = samples.map(G711.encodeA)
  }

  var samples: Int { pcmu.count }
}
