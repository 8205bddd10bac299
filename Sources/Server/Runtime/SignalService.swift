import Dispatch
import Foundation
import Logging
import ServiceLifecycle

/// Signals as a stream, taken from the moment it is made.
final class SignalService: Sendable {
  let signals: AsyncStream<Int32>
  /// Kept alive, and never touched again; dispatch sources are safe to let go of on any thread.
  private nonisolated(unsafe) let sources: [any DispatchSourceSignal]

  init(signals numbers: [Int32]) {
    let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
    signals = stream
    let queue = DispatchQueue(label: "nightjar.signals")
    unsafe sources = numbers.map { number in
      _ = signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
      source.setEventHandler { continuation.yield(number) }
      source.resume()
      return source
    }
    // A peer that closes a pipe or a stream under us is no reason to die.
    _ = signal(SIGPIPE, SIG_IGN)
  }
}

/// SIGHUP reloads; SIGTERM drains and ends; a second SIGTERM (or SIGINT) ends now.
struct SignalHandler: Service {
  let signals: SignalService
  let runtime: ServerRuntime
  let drain: Duration
  let systemd: SystemdNotifier

  func run() async throws {
    await withTaskGroup(of: Bool.self) { group in
      var isDraining = false
      let (events, post) = AsyncStream.makeStream(of: Event.self)
      group.addTask {
        for await signal in signals.signals { post.yield(.signal(signal)) }
        return false
      }
      loop: for await event in events {
        switch event {
        case .signal(SIGHUP):
          group.addTask {
            systemd.reloading()
            _ = try? await runtime.reload()
            systemd.ready()
            return false
          }
        case .signal where isDraining:
          runtime.logger.notice("ending now")
          break loop
        case .signal:
          isDraining = true
          systemd.stopping(status: "draining")
          runtime.logger.notice("draining: new calls get 503", metadata: ["seconds": "\(drain.components.seconds)"])
          group.addTask {
            await runtime.drain(seconds: Double(drain.components.seconds))
            post.yield(.drained)
            return true
          }
        case .drained:
          break loop
        }
      }
      group.cancelAll()
    }
  }

  private enum Event {
    case signal(Int32)
    case drained
  }
}
