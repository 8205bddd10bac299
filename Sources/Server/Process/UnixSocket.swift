import Glibc

/// Unix domain sockets as the control socket and systemd's notification need them (unix(7)): made with their file mode,
/// bound, probed, and written to.
enum UnixSocket {
  struct Failure: Error, CustomStringConvertible {
    /// errno.
    var code: Int32
    var call: String
    var description: String { "\(call): \(UnixSocket.text(of: code))" }
  }

  /// A listening stream socket at `path`, non-blocking, whose file has mode 0600 from its first moment: `fchmod` before
  /// `bind` sets what `bind` makes, so that no other user can connect in between.
  static func listen(path: String, backlog: Int32 = 16) throws(Failure) -> Int32 {
    let descriptor = try make(SOCK_STREAM)
    do throws(Failure) {
      guard fchmod(descriptor, 0o600) == 0 else { throw Failure(code: errno, call: "fchmod") }
      let bound = try unsafe withAddress(path) { address, length in unsafe Glibc.bind(descriptor, address, length) }
      guard bound == 0 else { throw Failure(code: errno, call: "bind") }
      guard Glibc.listen(descriptor, backlog) == 0 else { throw Failure(code: errno, call: "listen") }
      return descriptor
    } catch {
      close(descriptor)
      throw error
    }
  }

  enum Probe: Equatable {
    case nothing
    case answers
    /// Its process is gone.
    case stale
    case notASocket
  }

  /// What is at `path`.
  static func probe(path: String) throws(Failure) -> Probe {
    var info = stat()
    guard unsafe lstat(path, &info) == 0 else {
      if errno == ENOENT { return .nothing }
      throw Failure(code: errno, call: "stat")
    }
    guard info.st_mode & S_IFMT == S_IFSOCK else { return .notASocket }
    let descriptor = try make(SOCK_STREAM)
    defer { close(descriptor) }
    let connected = try unsafe withAddress(path) { address, length in unsafe connect(descriptor, address, length) }
    if connected == 0 { return .answers }
    switch errno {
    // A full backlog is a process that is alive.
    case EAGAIN, EINPROGRESS: return .answers
    case ECONNREFUSED, ENOENT: return .stale
    default: throw Failure(code: errno, call: "connect")
    }
  }

  /// Which file a path names, so that one that was replaced is told from its successor.
  struct Identity: Equatable, Sendable {
    var device: UInt
    var inode: UInt
  }

  static func identity(of path: String) -> Identity? {
    var info = stat()
    guard unsafe lstat(path, &info) == 0 else { return nil }
    return Identity(device: UInt(info.st_dev), inode: UInt(info.st_ino))
  }

  /// A bound datagram socket: the other end of `send`.
  static func bindDatagram(path: String) throws(Failure) -> Int32 {
    let descriptor = try make(SOCK_DGRAM)
    do throws(Failure) {
      let bound = try unsafe withAddress(path) { address, length in unsafe Glibc.bind(descriptor, address, length) }
      guard bound == 0 else { throw Failure(code: errno, call: "bind") }
      return descriptor
    } catch {
      close(descriptor)
      throw error
    }
  }

  /// Sends one datagram to `path`; a leading `@` names an abstract socket.
  static func send(_ bytes: [UInt8], toDatagramSocket path: String) throws(Failure) {
    let descriptor = try make(SOCK_DGRAM)
    defer { close(descriptor) }
    let sent = try unsafe withAddress(path) { address, length in
      unsafe Int32(
        truncatingIfNeeded: sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), address, length))
    }
    guard sent == bytes.count else { throw Failure(code: errno, call: "sendto") }
  }

  static func text(of code: Int32) -> String {
    guard let text = unsafe strerror(code) else { return "error \(code)" }
    return unsafe String(cString: text)
  }

  private static func make(_ type: __socket_type) throws(Failure) -> Int32 {
    let flags = type.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
    let descriptor = socket(AF_UNIX, Int32(flags), 0)
    guard descriptor >= 0 else { throw Failure(code: errno, call: "socket") }
    return descriptor
  }

  private static func withAddress(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) throws(Failure) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var bytes = Array(path.utf8)
    let abstract = bytes.first == UInt8(ascii: "@")
    if abstract { bytes[0] = 0 }
    let capacity = MemoryLayout.size(ofValue: address.sun_path)
    guard !bytes.isEmpty, bytes.count < capacity else { throw Failure(code: ENAMETOOLONG, call: path) }
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { target in unsafe target.copyBytes(from: bytes) }
    // An abstract name is as long as the length says; a path ends with a NUL.
    let length = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
    let total = socklen_t(length + bytes.count + (abstract ? 0 : 1))
    return unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, total) }
    }
  }
}
