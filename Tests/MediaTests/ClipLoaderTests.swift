import Glibc
import Testing

@testable import Media

@Suite struct ClipLoaderTests {
  private func tone(_ rate: Int, channels: Int = 1) -> [Float] {
    (0..<rate).flatMap { n in
      // All of it on the first channel.
      (0..<channels).map { $0 == 0 ? Float(0.5 * sin(2 * Double.pi * 700 * Double(n) / Double(rate))) : 0 }
    }
  }

  @Test(
    "any rate and number of channels becomes 8 kHz mono", arguments: [(8000, 1), (16_000, 1), (44_100, 2), (48_000, 6)])
  func reads(rate: Int, channels: Int) throws {
    let file = SoundFile(tone(rate, channels: channels), rate: rate, channels: channels, name: "\(rate)-\(channels)")
    let clip = try ClipLoader.read(file.path)
    #expect(clip.samples == 8000)
    let decoded = clip.pcmu[1000..<7000].map { Double(G711.decodeMu($0)) }
    #expect(Goertzel.power(decoded, 700) > 0.99)
    let peak = decoded.map(abs).max() ?? 0
    #expect(abs(peak - 16384 / Double(channels)) < 1000 / Double(channels))
    #expect(clip.pcma.count == clip.pcmu.count)
  }

  @Test("a file is read once while it does not change")
  func caches() throws {
    let file = SoundFile(tone(8000), rate: 8000, name: "cache")
    var loader = ClipLoader()
    let first = try loader.load(file.path)
    #expect(try loader.load(file.path) === first)
    file.write(tone(8000) + tone(8000), rate: 8000)
    #expect(try loader.load(file.path).samples == 16_000)
  }

  @Test("what cannot be played says why, with the path")
  func failures() throws {
    var loader = ClipLoader()
    do throws(ClipLoader.Failure) {
      _ = try loader.load("/nonexistent/x.wav")
      Issue.record("read")
    } catch {
      #expect(error.message == "/nonexistent/x.wav: No such file or directory")
    }
    let empty = SoundFile([], rate: 8000, name: "empty")
    #expect(throws: ClipLoader.Failure.self) { try ClipLoader.read(empty.path) }
    #expect(throws: ClipLoader.Failure.self) { try ClipLoader.read("/etc/passwd") }
    #expect(throws: ClipLoader.Failure.self) { try ClipLoader.read("/") }
  }
}
