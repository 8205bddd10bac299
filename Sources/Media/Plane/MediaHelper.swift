import CNet
import Glibc
import Synchronization

/// The thread for what may take its time: reading files, and binding ports ahead.
final class MediaHelper: Sendable {
  private enum Job: Sendable {
    case fill
    case load(worker: Int, key: UInt64, paths: [String])
  }

  private struct State {
    var jobs: [Job] = []
    var isFilling = false
    var isStopped = false
    var thread: MediaThread?
  }

  private let state = Mutex(State())
  private let wakeDescriptor: Int32

  init() throws(MediaError) {
    wakeDescriptor = cnet_eventfd(1)
    if wakeDescriptor < 0 { throw MediaError("eventfd", error: -wakeDescriptor) }
  }

  deinit { close(wakeDescriptor) }

  func start(pool: PortPool, rings: [CommandRing]) {
    let thread = MediaThread(name: "media-helper") { self.run(pool, rings) }
    state.withLock { $0.thread = thread }
  }

  /// Ask for `PortPool.fill`; asking again before it has begun does nothing.
  func fill() {
    let wakes = state.withLock { state in
      guard !state.isFilling, state.thread != nil else { return false }
      state.isFilling = true
      state.jobs.append(.fill)
      return true
    }
    if wakes { wake() }
  }

  func load(worker: Int, key: UInt64, paths: [String]) {
    state.withLock { $0.jobs.append(.load(worker: worker, key: key, paths: paths)) }
    wake()
  }

  func stop() {
    let thread = state.withLock { state in
      state.isStopped = true
      defer { state.thread = nil }
      return state.thread
    }
    wake()
    thread?.join()
  }

  private func wake() {
    var one: UInt64 = 1
    _ = write(wakeDescriptor, &one, 8)
  }

  private func run(_ pool: PortPool, _ rings: [CommandRing]) {
    var loader = ClipLoader()
    while true {
      var count: UInt64 = 0
      _ = read(wakeDescriptor, &count, 8)
      let (jobs, isStopped) = state.withLock { state in
        defer {
          state.jobs.removeAll()
          state.isFilling = false
        }
        return (state.jobs, state.isStopped)
      }
      if isStopped { return }
      for job in jobs {
        switch job {
        case .fill: pool.fill()
        case .load(let worker, let key, let paths):
          do throws(ClipLoader.Failure) {
            var clips: [AudioClip] = []
            for path in paths { clips.append(try loader.load(path)) }
            rings[worker].loaded(key, clips, failure: nil)
          } catch {
            rings[worker].loaded(key, [], failure: error.message)
          }
        }
      }
    }
  }
}
