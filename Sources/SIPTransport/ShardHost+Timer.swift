internal import NIOCore
internal import NetCore

/// The host's one callback and what it is for besides the driver's timers.
struct HostTimer {
  var armedAt: Instant?
  var callback: NIOScheduledCallback?
  var lastTick = Instant.zero
  var sweepAt = Instant.distantFuture
  var retryAt = Instant.distantFuture

  mutating func wantSweep(every span: Instant.Span, now: Instant) { sweepAt = min(sweepAt, now + span) }
  mutating func wantRetry(now: Instant) { retryAt = min(retryAt, now + .milliseconds(1)) }
}

/// Sendable, as the loop keeps it; opened on the loop only.
private struct HostCallback: NIOScheduledCallbackHandler, Sendable {
  let host: NIOLoopBound<ShardHost>
  func handleScheduledCallback(eventLoop: some EventLoop) { host.value.fire() }
}

extension ShardHost {
  /// Makes sure that the callback comes in time. An armed one is replaced only when it would be too late; one that
  /// comes too early costs a look. Ticks keep `timerGranularity` apart, so a busy loop pays for a hundred a second.
  func arm() {
    guard !isStopped else { return }
    let due = min(driver.nextDeadline ?? .distantFuture, timer.sweepAt)
    var wanted = due == .distantFuture ? due : max(due, timer.lastTick + configuration.timerGranularity)
    wanted = min(wanted, timer.retryAt)
    guard wanted != .distantFuture else { return }
    if let armedAt = timer.armedAt {
      guard wanted < armedAt else { return }
      timer.callback?.cancel()
    }
    timer.armedAt = wanted
    timer.callback = try? loop.scheduleCallback(
      at: wanted.deadline, handler: HostCallback(host: NIOLoopBound(self, eventLoop: loop)))
  }

  func disarm() {
    timer.callback?.cancel()
    timer.callback = nil
    timer.armedAt = nil
  }

  fileprivate func fire() {
    timer.armedAt = nil
    timer.callback = nil
    runTimers(now: .now)
    endBatch()
  }

  /// What is due, unless it ran just now. The callback may be armed still: it will find nothing.
  func runTimers(now: Instant) {
    if timer.retryAt <= now {
      timer.retryAt = .distantFuture
      flushDatagrams()
    }
    guard now - timer.lastTick >= configuration.timerGranularity else { return }
    timer.lastTick = now
    if let due = driver.nextDeadline, due <= now {
      driver.tick(now: now)
      drain()
    }
    if timer.sweepAt <= now {
      timer.sweepAt = .distantFuture
      connections.forEach { $0.check(now: now) }
      if connections.count > 0 { timer.wantSweep(every: configuration.streams.sweep, now: now) }
    }
  }
}
