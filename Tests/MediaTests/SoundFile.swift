import CSndfile
import Glibc

/// A WAV file for a test, removed with the value.
final class SoundFile {
  let path: String

  init(_ samples: [Float], rate: Int, channels: Int = 1, name: String) {
    path = "/tmp/nightjar-media-test-\(getpid())-\(name).wav"
    write(samples, rate: rate, channels: channels)
  }

  func write(_ samples: [Float], rate: Int, channels: Int = 1) {
    var info = SF_INFO()
    info.samplerate = Int32(rate)
    info.channels = Int32(channels)
    info.format = Int32(SF_FORMAT_WAV | SF_FORMAT_PCM_16)
    guard let file = sf_open(path, Int32(SFM_WRITE), &info) else { return }
    sf_writef_float(file, samples, Int64(samples.count / channels))
    sf_close(file)
  }

  deinit { unlink(path) }
}
