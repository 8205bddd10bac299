internal import CCares
internal import Glibc
internal import NetCore
internal import NextHop

/// The thread's side: one c-ares channel and the wait for its sockets. Everything here runs on that thread.
final class DNSLoop {
  private let wake: CInt
  private let answered: (DNSQuestion, DNSAnswer) -> Void
  private var channel: ares_channel?
  /// Questions that a channel which ends leaves open, to be asked by the next one.
  private var leftOver: [DNSQuestion] = []

  init(wake: CInt, answered: @escaping (DNSQuestion, DNSAnswer) -> Void) {
    self.wake = wake
    self.answered = answered
    ares_library_init(1)
  }

  deinit { if let channel { ares_destroy(channel) } }

  func run(_ take: () -> DNSClient.Mail) {
    while true {
      let mail = take()
      if mail.isStopping { break }
      if let settings = mail.settings { open(settings) }
      for question in mail.questions { ask(question) }
      wait()
    }
    if let channel { ares_destroy(channel) }
    channel = nil
    leftOver = []
  }

  private func open(_ settings: DNSClient.Settings) {
    if let old = channel {
      channel = nil
      ares_destroy(old)
    }
    var options = ares_options()
    // No search list: a SIP domain is a whole name. 1232 octets pass everywhere unfragmented.
    options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_EDNS
    options.ednspsz = 1232
    options.timeout = CInt(clamping: max(1, settings.timeout.milliseconds))
    options.tries = CInt(clamping: max(1, settings.attempts))
    let given = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ
    var made: ares_channel?
    guard ares_init_options(&made, &options, given) == ARES_SUCCESS, let made else { return fail() }
    if !settings.servers.isEmpty {
      let list = settings.servers.map(\.description).joined(separator: ",")
      guard ares_set_servers_ports_csv(made, list) == ARES_SUCCESS else {
        ares_destroy(made)
        return fail()
      }
    }
    channel = made
    let again = leftOver
    leftOver = []
    for question in again { ask(question) }
  }

  /// Without a channel (no memory): each question ends at once.
  private func fail() {
    let open = leftOver
    leftOver = []
    for question in open { answered(question, .refused) }
  }

  private func ask(_ question: DNSQuestion) {
    guard let channel else { return answered(question, .refused) }
    let query = Unmanaged.passRetained(Query(question, self))
    ares_query(
      channel, question.name.description, 1, CInt(question.kind.rawValue),
      { context, status, _, bytes, count in
        guard let context else { return }
        let query = Unmanaged<Query>.fromOpaque(context).takeRetainedValue()
        let message = bytes.map { Array(UnsafeBufferPointer(start: $0, count: Int(max(0, count)))) }
        query.loop.ended(query.question, status, message)
      }, query.toOpaque())
  }

  /// A question that c-ares holds.
  private final class Query {
    let question: DNSQuestion
    unowned let loop: DNSLoop
    init(_ question: DNSQuestion, _ loop: DNSLoop) {
      self.question = question
      self.loop = loop
    }
  }

  private func ended(_ question: DNSQuestion, _ status: CInt, _ message: [UInt8]?) {
    switch status {
    case ARES_SUCCESS, ARES_ENODATA, ARES_ENOTFOUND:
      answered(question, message.map { DNSAnswer(to: question, in: $0) } ?? .refused)
    case ARES_ETIMEOUT: answered(question, .silence)
    case ARES_EDESTRUCTION, ARES_ECANCELLED: leftOver.append(question)
    // c-ares says ECONNREFUSED of a closed port, and also where every server has answered SERVFAIL or REFUSED.
    default: answered(question, .refused)
    }
  }

  /// Until there is mail, an answer, or a question has waited long enough.
  private func wait() {
    var descriptors = [pollfd(fd: wake, events: Int16(POLLIN), revents: 0)]
    var timeout: CInt = -1
    if let channel {
      var sockets = [ares_socket_t](repeating: -1, count: Int(ARES_GETSOCK_MAXNUM))
      let mask = UInt32(bitPattern: ares_getsock(channel, &sockets, ARES_GETSOCK_MAXNUM))
      for (index, socket) in sockets.enumerated() {
        let reads = mask & 1 << UInt32(index) != 0
        let writes = mask & 1 << UInt32(index + Int(ARES_GETSOCK_MAXNUM)) != 0
        guard reads || writes else { continue }
        let events = (reads ? POLLIN : 0) | (writes ? POLLOUT : 0)
        descriptors.append(pollfd(fd: socket, events: Int16(events), revents: 0))
      }
      var left = timeval()
      if let next = ares_timeout(channel, nil, &left) {
        // Rounded up: a wait that ends a moment early would only begin anew.
        timeout = CInt(clamping: next.pointee.tv_sec * 1000 + (next.pointee.tv_usec + 999) / 1000)
      }
    }
    let count = poll(&descriptors, nfds_t(descriptors.count), timeout)
    if descriptors[0].revents != 0 {
      var value: UInt64 = 0
      _ = read(wake, &value, 8)
    }
    guard let channel else { return }
    let none: ares_socket_t = -1
    for descriptor in descriptors.dropFirst() where count > 0 && descriptor.revents != 0 {
      let writes = CInt(descriptor.revents) & POLLOUT != 0
      let reads = CInt(descriptor.revents) & ~POLLOUT != 0
      ares_process_fd(channel, reads ? descriptor.fd : none, writes ? descriptor.fd : none)
    }
    ares_process_fd(channel, none, none)
  }
}
