import Glibc
import NetCore
import SIPTransport

/// A blocking socket of the test's own, with a deadline on every call; it shares no code with what it tests.
final class Peer {
  enum Failure: Error { case system(String, Int32), timedOut, closed }

  let descriptor: CInt
  private var buffer: [UInt8] = []

  init(descriptor: CInt) { self.descriptor = descriptor }

  /// Connected to `remote`, UDP or TCP.
  convenience init(_ remote: ListenAddress, receiveBuffer: Int32? = nil) throws {
    let v6 = remote.endpoint.ip.family == .v6
    let kind = remote.transport == .udp ? SOCK_DGRAM.rawValue : SOCK_STREAM.rawValue
    self.init(descriptor: socket(v6 ? AF_INET6 : AF_INET, Int32(kind), 0))
    if var size = receiveBuffer {
      _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    limit(seconds: 10)
    if remote.transport == .tcp {
      // Every `send` a segment at once, and no 40 ms of Nagle and delayed ACK in between.
      var on: Int32 = 1
      _ = unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }
    let name = Peer.name(of: remote.endpoint)
    let result = unsafe name.withUnsafeBytes {
      unsafe connect(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
    }
    guard result == 0 else { throw Failure.system("connect", errno) }
  }

  deinit { _ = Glibc.close(descriptor) }

  private func limit(seconds: Int) {
    var time = timeval(tv_sec: seconds, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, size)
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, size)
  }

  /// A listening TCP socket on a free port of 127.0.0.1.
  static func listen() throws -> (peer: Peer, endpoint: Endpoint) {
    let peer = Peer(descriptor: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
    let name = Peer.name(of: Endpoint(IPAddress(v4: 0x7f00_0001), 0))
    let bound = unsafe name.withUnsafeBytes {
      unsafe bind(peer.descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
    }
    guard bound == 0, Glibc.listen(peer.descriptor, 16) == 0 else { throw Failure.system("listen", errno) }
    peer.limit(seconds: 10)
    return (peer, peer.local)
  }

  func accept() throws -> Peer {
    let accepted = Glibc.accept(descriptor, nil, nil)
    guard accepted >= 0 else { throw Failure.system("accept", errno) }
    let peer = Peer(descriptor: accepted)
    peer.limit(seconds: 10)
    return peer
  }

  var local: Endpoint {
    var name = [UInt8](repeating: 0, count: 28)
    var length = socklen_t(28)
    _ = unsafe name.withUnsafeMutableBytes {
      unsafe getsockname(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
    }
    let port = UInt16(name[2]) << 8 | UInt16(name[3])
    if length == 16 { return Endpoint(IPAddress(v4: name[4..<8].reduce(0) { $0 << 8 | UInt32($1) }), port) }
    return Endpoint(
      IPAddress(
        high: name[8..<16].reduce(0) { $0 << 8 | UInt64($1) }, low: name[16..<24].reduce(0) { $0 << 8 | UInt64($1) }),
      port)
  }

  func send(_ bytes: some Sequence<UInt8>) throws {
    var rest = Array(bytes)[...]
    repeat {
      let sent = unsafe rest.withUnsafeBytes {
        unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard sent >= 0 else { throw errno == EAGAIN ? Failure.timedOut : Failure.system("send", errno) }
      rest = rest.dropFirst(sent)
    } while !rest.isEmpty
  }

  func send(_ text: String) throws { try send(Array(text.utf8)) }

  /// One datagram, or whatever a stream has; throws `closed` at its end.
  func receive() throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 70_000)
    let count = unsafe bytes.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
    guard count >= 0 else { throw errno == EAGAIN ? Failure.timedOut : Failure.system("recv", errno) }
    guard count > 0 else { throw Failure.closed }
    return Array(bytes[..<count])
  }

  /// The first of several that has something to read; nil when none has in time.
  static func readable(of peers: [Peer], within milliseconds: Int32 = 10_000) -> Peer? {
    var entries = peers.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
    guard unsafe poll(&entries, nfds_t(entries.count), milliseconds) > 0 else { return nil }
    return entries.firstIndex { $0.revents != 0 }.map { peers[$0] }
  }

  func text() throws -> String { String(decoding: try receive(), as: UTF8.self) }

  /// The next message of a stream that has no body.
  func nextHead() throws -> String {
    while true {
      if let end = (0..<max(0, buffer.count - 3)).first(where: {
        buffer[$0..<($0 + 4)].elementsEqual([13, 10, 13, 10])
      }) {
        defer { buffer.removeFirst(end + 4) }
        return String(decoding: buffer[..<(end + 4)], as: UTF8.self)
      }
      buffer += try receive()
    }
  }

  /// True when the other side ends the connection, in an orderly way or not, before the deadline.
  func isClosedByPeer() -> Bool {
    do {
      while true { _ = try receive() }
    } catch Failure.closed {
      return true
    } catch Failure.system(_, let code) {
      return code == ECONNRESET || code == EPIPE
    } catch {
      return false
    }
  }

  private static func name(of endpoint: Endpoint) -> [UInt8] {
    let port = [UInt8(endpoint.port >> 8), UInt8(endpoint.port & 0xff)]
    switch endpoint.ip.family {
    case .v4: return [UInt8(AF_INET), 0] + port + endpoint.ip.octets + [UInt8](repeating: 0, count: 8)
    case .v6: return [UInt8(AF_INET6), 0] + port + [0, 0, 0, 0] + endpoint.ip.octets + [0, 0, 0, 0]
    }
  }
}

/// An OPTIONS as a phone sends it.
func options(
  callID: String = "a84b4c76e66710", branch: String = "z9hG4bK776asdhds", toTag: String? = nil, via: String = "UDP",
  extra: [String] = [], body: Int = 0, cseq: String? = "314159 OPTIONS", from: Endpoint? = nil
) -> String {
  var lines = ["OPTIONS sip:nightjar.local SIP/2.0"]
  lines.append("Via: SIP/2.0/\(via) \(from.map { "\($0)" } ?? "127.0.0.1:9");rport;branch=\(branch)")
  lines.append("Max-Forwards: 70")
  lines.append("From: Alice <sip:alice@atlanta.example.com>;tag=1928301774")
  lines.append("To: <sip:nightjar.local>" + (toTag.map { ";tag=\($0)" } ?? ""))
  lines.append("Call-ID: \(callID)")
  if let cseq { lines.append("CSeq: \(cseq)") }
  lines += extra
  lines.append("Content-Length: \(body)")
  return lines.joined(separator: "\r\n") + "\r\n\r\n" + String(repeating: "b", count: body)
}

func header(_ name: String, _ message: String) -> String? {
  message.split(separator: "\r\n").first { $0.hasPrefix(name + ": ") }.map { String($0.dropFirst(name.count + 2)) }
}
