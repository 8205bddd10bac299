import Counting
import Glibc
import Media
import NetCore
import Synchronization

/// What a call costs the media plane with its real threads and sockets, in real time: what the signalling asks of it for
/// a call of two legs held for 0.1 s, at a given rate. No packet is sent. `asking` is the time that the signalling spends
/// in it, the others are CPU time of the plane's threads.
///
///     Cost media [calls a second] [seconds]
struct MediaCalls {
  private final class Answers: Sendable {
    let statistics = Atomic<Int>(0)
  }

  private let rate: Int
  private let seconds: Int
  private let plane: MediaPlane
  private let answers = Answers()
  private var commands: [MediaCommand] = []
  private var held: [(a: MediaPort, b: MediaPort, until: Int)] = []
  private var first = 0

  init(rate: Int, seconds: Int) {
    self.rate = rate
    self.seconds = seconds
    do {
      plane = try MediaPlane(MediaConfiguration(addresses: [Server.address.ip])) { [answers] _, events in
        for case .statistics in events { answers.statistics.wrappingAdd(1, ordering: .relaxed) }
      }
    } catch {
      fatalError("\(error)")
    }
    plane.start()
  }

  /// A loop that looks once a millisecond, as the signalling does under load; the first two seconds are not counted, as
  /// the ports are bound in them.
  mutating func run() {
    let codecs = MediaCodecs(pcmu: 0, pcma: 8, telephoneEvent: 101)
    let map = PayloadMap([0: 0, 8: 8, 101: 101])
    var calls = 0
    /// Nanoseconds within `lease` and `send`.
    var asking: Int64 = 0
    var before = ThreadTimes()
    var due = Clock.now()
    for tick in 0..<(2 + seconds) * 1000 {
      if tick == 2000 {
        before = ThreadTimes()
        calls = 0
        asking = 0
        counting_start()
      }
      while first < held.count, held[first].until <= tick {
        let (a, b, _) = held[first]
        for id in [a.id, b.id] {
          commands.append(.statistics(id, token: 0))
          commands.append(.release(id))
        }
        first += 1
      }
      if first > 1000 {
        held.removeFirst(first)
        first = 0
      }
      for _ in 0..<((tick + 1) * rate / 1000 - tick * rate / 1000) {
        let start = Clock.now()
        guard let a = plane.lease(owner: 0, family: .v4), let b = plane.lease(owner: 0, family: .v4, near: a.id) else {
          fatalError("no port is left")
        }
        asking += Clock.now() - start
        let phone = Endpoint(Server.caller.ip, 6000)
        for port in [a, b] {
          commands.append(
            .remote(port.id, rtp: phone, rtcp: nil, codecs: codecs, sending: true, receiving: true, latch: true))
        }
        commands.append(.bridge(a.id, b.id, aToB: map, bToA: map))
        for id in [a.id, b.id] { commands.append(.watch(id, timeout: .seconds(60))) }
        held.append((a, b, tick + 100))
        calls += 1
      }
      let start = Clock.now()
      if !commands.isEmpty { plane.send(commands) }
      asking += Clock.now() - start
      commands.removeAll(keepingCapacity: true)
      due += 1_000_000
      Clock.sleep(until: due)
    }
    counting_stop()
    let after = ThreadTimes()
    var line = "{\"kind\": \"media\", \"calls\": \(calls)"
    line += ", \"asking_us\": \((Double(asking) / Double(calls) / 10).rounded() / 100)"
    for (name, microseconds) in after.since(before) where name.hasPrefix("media-") {
      line += ", \"\(name)_us\": \((microseconds / Double(calls) * 100).rounded() / 100)"
    }
    line += ", \"allocations\": \(Double(counting_allocations()) / Double(calls))"
    print(line + ", \"statistics\": \(answers.statistics.load(ordering: .relaxed)), \"bound\": \(plane.usage.bound)}")
    plane.shutdown()
  }
}

enum Clock {
  static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  static func sleep(until: Int64) {
    var time = timespec(tv_sec: Int(until / 1_000_000_000), tv_nsec: Int(until % 1_000_000_000))
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil)
  }
}

/// CPU time of the threads of this process by name, in nanoseconds, as the scheduler counts it.
struct ThreadTimes {
  private var times: [(name: String, nanoseconds: Double)] = []

  init() {
    guard let folder = opendir("/proc/self/task") else { return }
    defer { closedir(folder) }
    while let entry = readdir(folder) {
      let id = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      guard let time = Self.read("/proc/self/task/\(id)/schedstat").split(separator: " ").first.flatMap({ Double($0) })
      else { continue }
      times.append((Self.read("/proc/self/task/\(id)/comm").split(separator: "\n").joined(), time))
    }
  }

  /// In microseconds.
  func since(_ before: ThreadTimes) -> [(name: String, microseconds: Double)] {
    times.map { time in
      (time.name, (time.nanoseconds - (before.times.first { $0.name == time.name }?.nanoseconds ?? 0)) / 1000)
    }
  }

  private static func read(_ path: String) -> String {
    guard let file = fopen(path, "r") else { return "" }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 256)
    return String(decoding: bytes[..<fread(&bytes, 1, 256, file)], as: UTF8.self)
  }
}
