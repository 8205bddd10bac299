import CSndfile
import Glibc

/// Reads sound files and keeps them. It belongs to one thread, which is none of the relay's.
struct ClipLoader {
  private struct Entry {
    var clip: AudioClip
    /// Nanoseconds of its time of change.
    var modified: Int
    var size: Int64
    var used: UInt64
  }

  private var cache: [String: Entry] = [:]
  private var cachedSamples = 0
  private var uses: UInt64 = 0

  /// 20 minutes: 19 MB in both laws.
  static let maxSamples = 20 * 60 * 8000
  /// Over all files; past it the one that was used longest ago goes. 96 MB.
  static let maxCachedSamples = 48 << 20

  struct Failure: Error { var message: String }

  /// From memory where the file has not changed since.
  mutating func load(_ path: String) throws(Failure) -> AudioClip {
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw Failure(message: "\(path): \(String(cString: strerror(errno)))")
    }
    uses += 1
    let modified = Int(status.st_mtim.tv_sec) * 1_000_000_000 + Int(status.st_mtim.tv_nsec)
    if var entry = cache[path], entry.size == status.st_size, entry.modified == modified {
      entry.used = uses
      cache[path] = entry
      return entry.clip
    }
    let clip = try Self.read(path)
    if let old = cache.removeValue(forKey: path) { cachedSamples -= old.clip.samples }
    cache[path] = Entry(clip: clip, modified: modified, size: Int64(status.st_size), used: uses)
    cachedSamples += clip.samples
    while cachedSamples > Self.maxCachedSamples, cache.count > 1,
      let oldest = cache.min(by: { $0.value.used < $1.value.used })
    {
      cachedSamples -= oldest.value.clip.samples
      cache[oldest.key] = nil
    }
    return clip
  }

  static func read(_ path: String) throws(Failure) -> AudioClip {
    var info = SF_INFO()
    guard let file = sf_open(path, Int32(SFM_READ), &info) else {
      throw Failure(message: "\(path): \(String(cString: sf_strerror(nil)))")
    }
    defer { sf_close(file) }
    let channels = Int(info.channels)
    let rate = Int(info.samplerate)
    guard (1...16).contains(channels), (1000...384_000).contains(rate) else {
      throw Failure(message: "\(path): \(channels) channels at \(rate) Hz cannot be played")
    }
    var mono: [Float] = []
    let limit = maxSamples * rate / 8000
    let block = 8192
    var frames = [Float](repeating: 0, count: block * channels)
    while true {
      let count = Int(sf_readf_float(file, &frames, Int64(block)))
      if count <= 0 { break }
      guard mono.count + count <= limit else {
        throw Failure(message: "\(path): longer than \(maxSamples / 8000 / 60) minutes")
      }
      for frame in 0..<count {
        var sum: Float = 0
        for channel in 0..<channels { sum += frames[frame * channels + channel] }
        mono.append(sum / Float(channels))
      }
    }
    guard !mono.isEmpty else { throw Failure(message: "\(path): no audio in it") }
    return AudioClip(rate == 8000 ? mono.map(Resampler.sample) : Resampler(inputRate: rate).resample(mono))
  }
}
