internal import CNet
internal import Glibc
public import NetCore
public import NextHop
internal import Synchronization

/// Asks DNS servers, on a thread of its own: no loop and no queue that others share waits for them.
///
/// c-ares does the asking: retransmission, the next server, TCP after a truncated answer (RFC 7766), EDNS (RFC 6891). What
/// an answer says is read by `DNSAnswer(to:in:)`, as c-ares 1.18 keeps the TTL of SRV and NAPTR records to itself.
public final class DNSClient: Sendable {
  public struct Settings: Sendable, Equatable {
    /// Empty: those of `/etc/resolv.conf`.
    public var servers: [Endpoint] = []
    /// For the first answer of one server; the double for each further round.
    public var timeout = Instant.Span.seconds(1 as Int64)
    /// Rounds over all servers.
    public var attempts = 2

    public init() {}
  }

  /// What the thread is told.
  struct Mail {
    var questions: [DNSQuestion] = []
    var settings: Settings?
    var isStopping = false
  }

  private let mail: Mutex<Mail>
  private let wake: CInt
  private let thread: DNSThread

  /// - Parameter answered: told every question with what came of it, on the client's thread; not those that are open when
  ///   the client stops.
  public init(_ settings: Settings, answered: @escaping @Sendable (DNSQuestion, DNSAnswer) -> Void) {
    mail = Mutex(Mail(settings: settings))
    wake = cnet_eventfd(0)
    precondition(wake >= 0, "eventfd: \(String(cString: strerror(-wake)))")
    thread = DNSThread()
    thread.start { [weak self, wake] in
      let loop = DNSLoop(wake: wake, answered: answered)
      loop.run { self?.take() ?? Mail(isStopping: true) }
    }
  }

  deinit {
    stop()
    close(wake)
  }

  /// From any thread. Whoever asks bounds how much is asked (`HopResolver`).
  public func ask(_ questions: [DNSQuestion]) {
    mail.withLock { $0.questions += questions }
    signal()
  }

  /// Other servers, or those that `/etc/resolv.conf` names by now; what is open is asked anew.
  public func apply(_ settings: Settings) {
    mail.withLock { $0.settings = settings }
    signal()
  }

  /// Ends the thread; blocks for as long as it takes to leave its wait.
  public func stop() {
    mail.withLock { $0.isStopping = true }
    signal()
    thread.join()
  }

  private func take() -> Mail {
    mail.withLock { mail in
      let taken = mail
      mail = Mail(isStopping: mail.isStopping)
      return taken
    }
  }

  private func signal() {
    var one: UInt64 = 1
    _ = write(wake, &one, 8)
  }
}

/// A joinable thread, joined once.
final class DNSThread: Sendable {
  private let handle = Mutex<pthread_t?>(nil)

  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  func start(_ run: @escaping @Sendable () -> Void) {
    let body = Unmanaged.passRetained(Body(run))
    var thread = pthread_t()
    let error = pthread_create(
      &thread, nil,
      { pointer in
        guard let pointer else { return nil }
        cnet_name_thread("dns")
        Unmanaged<Body>.fromOpaque(pointer).takeRetainedValue().run()
        return nil
      }, body.toOpaque())
    precondition(error == 0, "pthread_create: \(String(cString: strerror(error)))")
    let started = thread
    handle.withLock { $0 = started }
  }

  func join() {
    let thread = handle.withLock { handle in
      defer { handle = nil }
      return handle
    }
    guard let thread else { return }
    if pthread_equal(thread, pthread_self()) != 0 { pthread_detach(thread) } else { pthread_join(thread, nil) }
  }
}
