internal import Glibc
internal import NetCore

// How a wake is used. Waking a sleeping thread costs more than a message does (measured: 20–30 µs against 5–10), so:
// every wake empties the socket; and from some rate on the loop no longer waits for the next datagram but for the next
// tick of a clock, and finds a batch.

extension ShardHost {
  /// One datagram, from NIO or from us.
  func datagram(_ bytes: [UInt8], from remote: Endpoint, to destination: IPAddress?, on port: DatagramPort) {
    // A keep-alive or a probe: no SIP message is as short (RFC 5626 §3.5.1; some phones send four zero octets).
    guard bytes.count > 8 else { return counters.keepAlives.bump() }
    let local = destination.map { Endpoint($0, port.local.port) } ?? port.local
    let flow = Flow(transport: .udp, listener: port.listener, remote: remote, local: local)
    if StunBinding.isSTUN(bytes) {
      counters.keepAlives.bump()
      if let answer = StunBinding.answer(bytes, from: remote) { send(answer, flow) }
      return
    }
    arrived(bytes, flow)
  }

  /// NIO has delivered a datagram of `port`: take those behind it, and under load stay.
  func datagramsReady(_ port: DatagramPort) {
    let taken = 1 + take(port)
    endBatch()
    if load.isBusy(taken, now: .now) { keepPace(mayMoreWait: taken > configuration.datagrams.turn) }
  }

  /// At most a turn's worth; how many it were.
  private func take(_ port: DatagramPort) -> Int {
    let limit = configuration.datagrams.turn
    var taken = 0
    while taken < limit, let datagram = port.receive(buffer) {
      taken += 1
      self.datagram(datagram.bytes, from: datagram.remote, to: datagram.destination, on: port)
    }
    return taken
  }

  /// Under load: sleeps on the loop's thread from tick to tick and takes what has come, mailbox and timers included.
  /// NIO's own work (streams, new connections) has its turn after one tick if there are connections, else after a few.
  /// Sleeping here is what the selector would do, only that this sleep is not cut short by every datagram.
  private func keepPace(mayMoreWait: Bool) {
    let tick = configuration.datagrams.busyTick
    let begin = Instant.now
    let end = begin + (connections.count == 0 ? Instant.Span(nanoseconds: tick.nanoseconds * 8) : tick)
    var next = mayMoreWait ? begin : begin + tick
    var isBusy = true
    while isBusy, next <= end {
      next.sleep()
      var taken = 0
      for case let port? in ports { taken += take(port) }
      _ = drainMailbox(isAttended: true)
      let now = Instant.now
      runTimers(now: now)
      endBatch()
      isBusy = taken > 0 && load.isBusy(taken, now: now)
      next = max(next + tick, now)
    }
    // From here on the mailbox must wake us again.
    mailboxWoke()
  }
}

extension Instant {
  /// Sleeps until then; returns at once when it has passed.
  fileprivate func sleep() {
    var time = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    while unsafe clock_nanosleep(CLOCK_MONOTONIC, Int32(TIMER_ABSTIME), &time, nil) == EINTR {}
  }
}

/// Whether datagrams come so fast that waking for each would cost more than waiting for several.
struct LoadMeter {
  private static let window = Instant.Span.milliseconds(10)
  private let threshold: Int
  private var start = Instant.zero
  private var count = 0
  private var isBusy = false

  init(_ options: DatagramOptions) { threshold = options.busyRate }

  /// Adds `taken` datagrams; looked at once a window, and with half the rate as the way back.
  mutating func isBusy(_ taken: Int, now: Instant) -> Bool {
    guard threshold > 0 else { return false }
    count &+= taken
    let elapsed = now - start
    guard elapsed >= LoadMeter.window else { return isBusy }
    let rate = Int64(count) &* 1_000_000_000 / elapsed.nanoseconds
    isBusy = rate >= Int64(isBusy ? threshold / 2 : threshold)
    start = now
    count = 0
    return isBusy
  }
}
