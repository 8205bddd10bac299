import Foundation
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Server

@Suite("Control socket", .timeLimit(.minutes(1)))
struct ControlSocketTests {
  /// Answers from what it was given, and remembers what it was asked.
  final class FakeTarget: ControlTarget {
    struct Broken: Error, CustomStringConvertible {
      var description: String { "the target is broken" }
    }
    private let asked = Mutex<[ControlCommand]>([])
    /// Lines of a trace; endless where it says so.
    let traceLines: [String]
    let isEndless: Bool
    let (ended, end) = AsyncStream<Void>.makeStream()

    init(traceLines: [String] = [], isEndless: Bool = false) {
      self.traceLines = traceLines
      self.isEndless = isEndless
    }

    var commands: [ControlCommand] { asked.withLock { $0 } }

    func perform(_ command: ControlCommand) async throws -> ControlReply {
      asked.withLock { $0.append(command) }
      switch command {
      case .calls:
        return .calls([
          CallReport(
            id: "x", state: "answered", from: "1000", to: "1001", context: "internal", generation: 2, shard: 0, legs: 2,
            seconds: 1.5)
        ])
      case .hangup(let id): return .failed("no call \(id)")
      case .reload:
        throw ConfigurationError(faults: [
          .init(file: "d.lua", line: 3, message: "syntax"), .init(file: "d.lua", line: 9, message: "other"),
        ])
      case .status: throw Broken()
      default: return ControlReply(message: "done")
      }
    }

    func trace(callID: String?) -> AsyncStream<String> {
      AsyncStream(bufferingPolicy: .bufferingNewest(10)) { continuation in
        continuation.onTermination = { [end] _ in end.yield() }
        for line in traceLines { continuation.yield(line + (callID ?? "")) }
        if !isEndless { continuation.finish() }
      }
    }
  }

  /// A trace that is larger than any socket's buffer, for a client that never reads.
  final class FloodTarget: ControlTarget {
    let (ended, end) = AsyncStream<Void>.makeStream()
    func perform(_ command: ControlCommand) async throws -> ControlReply { ControlReply() }
    func trace(callID: String?) -> AsyncStream<String> {
      let line = String(repeating: "x", count: 100_000)
      return AsyncStream { continuation in
        continuation.onTermination = { [end] _ in end.yield() }
        for _ in 0..<1000 { continuation.yield(line) }
      }
    }
  }

  private func withServer(
    _ target: any ControlTarget, limits: ControlLimits = .init(),
    _ body: (ControlClient, ControlServer, TestFolder) async throws -> Void
  ) async throws {
    let folder = try TestFolder()
    let path = folder.file("run/n.sock")
    let server = try await ControlServer.bind(path: path, target: target, logger: quietLogger(), limits: limits)
    try await body(ControlClient(path: path), server, folder)
    await server.close()
  }

  /// Sends raw bytes and gives what comes back: so many lines, or all until the server closes.
  private func raw(_ bytes: [UInt8], to path: String, lines: Int = .max) async throws -> [String] {
    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .connect(unixDomainSocketPath: path) { channel in
        channel.eventLoop.makeCompletedFuture {
          try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
        }
      }
    return try await channel.executeThenClose { inbound, outbound in
      var all: [String] = []
      var cutter = ControlLines(maxLine: 1 << 20)
      do {
        try await outbound.write(ByteBuffer(bytes: bytes))
        for try await part in inbound {
          all += try cutter.append(part.readableBytesView).map { String(decoding: $0, as: UTF8.self) }
          if all.count >= lines { break }
        }
      } catch is IOError {
        // Closed while there was more to read: a reset.
      } catch is ChannelError {
        // Closed before it was written.
      }
      return all
    }
  }

  @Test("a command is answered, a refusal and a failure are told")
  func commands() async throws {
    let target = FakeTarget()
    try await withServer(target) { client, _, folder in
      #expect(client.isRunning)
      #expect(try folder.mode("run") == 0o700)
      #expect(try folder.mode("run/n.sock") == 0o600)
      #expect(try await client.send(.calls).calls?.map(\.id) == ["x"])
      #expect(try await client.send(.hangup(id: "y")) == .failed("no call y"))
      #expect(try await client.send(.status) == .failed("the target is broken"))
      let reload = try await client.send(.reload)
      #expect(reload.ok == false)
      #expect(reload.faults == ["d.lua:3: syntax", "d.lua:9: other"])
      let user = NewUser(name: "a", password: "p", context: "c", callerName: "A", callerNumber: "+1")
      #expect(try await client.send(.userAdd(user)).message == "done")
      #expect(try await client.send(.userPassword(name: "a", password: "q")).ok)
    }
    #expect(
      target.commands == [
        .calls, .hangup(id: "y"), .status, .reload,
        .userAdd(NewUser(name: "a", password: "p", context: "c", callerName: "A", callerNumber: "+1")),
        .userPassword(name: "a", password: "q"),
      ])
  }

  @Test(
    "every command survives the wire",
    arguments: [
      ControlCommand.status, .calls, .registrations, .trunks, .generations, .reload, .hangup(id: "x"), .userList,
      .userRemove(name: "a"), .userPassword(name: "a", password: "b"),
      .userAdd(NewUser(name: "a", password: "b", context: "c", callerName: nil, callerNumber: "1")),
    ])
  func wire(command: ControlCommand) throws {
    let line = ControlJSON.line(ControlRequest(command))
    #expect(!line.contains(UInt8(ascii: "\n")))
    #expect(try ControlJSON.decode(ControlRequest.self, line).meaning() == .command(command))
  }

  @Test("a status comes back as it was sent, the names of its counters too")
  func status() throws {
    let report = StatusReport(
      version: "1", process: 2, uptimeSeconds: 3.5, generation: 4, draining: true, listen: ["udp:127.0.0.1:5060"],
      shards: 5, calls: 6, registrations: 7, mediaPortsUsed: 8, mediaPorts: 9,
      counters: ["callsStarted": 1, "records.dropped": 2, "a_b": 3])
    let line = ControlJSON.line(ControlReply.status(report))
    #expect(try ControlJSON.decode(ControlReply.self, line) == .status(report))
    let text = String(decoding: line, as: UTF8.self)
    #expect(text.contains(#""uptime_seconds":3.5"#))
    #expect(text.contains(#""counters":{"a_b":3,"callsStarted":1,"records.dropped":2}"#))
  }

  @Test("requests of one connection are answered in order; what is no request is told so")
  func pipeline() async throws {
    try await withServer(FakeTarget()) { client, _, _ in
      let text = """
        {"command":"hangup","id":"1"}\r
        {"command":"cals"}
        {"command":"hangup"}
        garbage
        {"command":"hangup","id":"2"}

        """
      let answers = try await raw(Array(text.utf8), to: client.path, lines: 5)
      #expect(
        answers == [
          #"{"error":"no call 1","ok":false}"#,
          #"{"error":"unknown command \"cals\"; did you mean \"calls\"?","ok":false}"#,
          #"{"error":"hangup needs id","ok":false}"#,
          #"{"error":"a request is one JSON object a line, such as {\"command\":\"status\"}","ok":false}"#,
          #"{"error":"no call 2","ok":false}"#,
        ])
    }
  }

  @Test("a client that sends without end is cut off")
  func garbage() async throws {
    var limits = ControlLimits()
    limits.maxLine = 1000
    limits.maxWaiting = 4
    try await withServer(FakeTarget(), limits: limits) { client, _, _ in
      // The reason is lost where the kernel resets the connection before it was read.
      let long = try await raw(Array(repeating: 0x20, count: 2000), to: client.path)
      #expect([[], [#"{"error":"a request is longer than 1000 octets","ok":false}"#]].contains(long))
      let many = try await raw(Array(repeating: 0x0a, count: 900), to: client.path)
      #expect([nil, #"{"error":"too many requests at once","ok":false}"#].contains(many.first))
      #expect(try await client.send(.calls).ok)
    }
  }

  @Test("a client that asks nothing is closed")
  func idle() async throws {
    var limits = ControlLimits()
    limits.idleSeconds = 0.05
    try await withServer(FakeTarget(), limits: limits) { client, _, _ in
      let answers = try await raw([], to: client.path)
      #expect(answers == [])
    }
  }

  @Test("a client that never reads is cut off, and its trace ends")
  func neverReads() async throws {
    var limits = ControlLimits()
    limits.writeSeconds = 1
    let target = FloodTarget()
    try await withServer(target, limits: limits) { client, _, _ in
      let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .channelOption(.autoRead, value: false)
        .connect(unixDomainSocketPath: client.path).get()
      try await channel.writeAndFlush(ByteBuffer(string: "{\"command\":\"trace\"}\n")).get()
      for await _ in target.ended { break }
      try? await channel.close().get()
    }
  }

  @Test("a trace is followed line by line, of one call or of all; it ends with the server's")
  func trace() async throws {
    try await withServer(FakeTarget(traceLines: ["INVITE ", "180\n\u{1b} "])) { client, _, _ in
      let lines = LineCollector()
      let refusal = try await client.trace(callID: "x") { lines.add($0) }
      #expect(refusal == nil)
      #expect(lines.all == ["INVITE x", "180\n\u{1b} x"])
    }
  }

  @Test("a client that leaves a trace frees it")
  func leavesTrace() async throws {
    let target = FakeTarget(traceLines: ["INVITE"], isEndless: true)
    try await withServer(target) { client, _, _ in
      let (started, start) = AsyncStream<Void>.makeStream()
      let follower = Task { try await client.trace(callID: nil) { _ in start.yield() } }
      for await _ in started { break }
      follower.cancel()
      for await _ in target.ended { break }
    }
  }

  @Test("more clients than allowed are turned away")
  func tooMany() async throws {
    var limits = ControlLimits()
    limits.maxConnections = 1
    let target = FakeTarget(traceLines: ["INVITE"], isEndless: true)
    try await withServer(target, limits: limits) { client, _, _ in
      let (started, start) = AsyncStream<Void>.makeStream()
      let follower = Task { try await client.trace(callID: nil) { _ in start.yield() } }
      for await _ in started { break }
      await #expect(throws: ControlClient.Failure.self) { try await client.send(.calls) }
      follower.cancel()
    }
  }

  @Test("no daemon: the client says so; the socket goes with the daemon")
  func notRunning() async throws {
    let folder = try TestFolder()
    let client = ControlClient(path: folder.file("n.sock"))
    #expect(!client.isRunning)
    await #expect(throws: ControlClient.Failure.notRunning(path: client.path)) { try await client.send(.status) }
    let server = try await ControlServer.bind(path: client.path, target: FakeTarget(), logger: quietLogger())
    #expect(client.isRunning)
    await server.close()
    #expect(!FileManager.default.fileExists(atPath: client.path))
    await #expect(throws: ControlClient.Failure.notRunning(path: client.path)) { try await client.send(.status) }
  }

  @Test("a socket file whose process is gone is replaced, one that answers is not, nor is another file")
  func stale() async throws {
    let folder = try TestFolder()
    let path = folder.file("n.sock")
    // Listening, then closed without its file being removed: what a kill leaves.
    close(try UnixSocket.listen(path: path))
    #expect(try UnixSocket.probe(path: path) == .stale)
    let server = try await ControlServer.bind(path: path, target: FakeTarget(), logger: quietLogger())
    let error = await #expect(throws: ControlServer.Failure.self) {
      _ = try await ControlServer.bind(path: path, target: FakeTarget(), logger: quietLogger())
    }
    #expect(error?.description == "control socket \(path): another nightjar answers on it")
    #expect(try await ControlClient(path: path).send(.calls).ok)
    await server.close()
    try Data().write(to: URL(fileURLWithPath: path))
    let other = await #expect(throws: ControlServer.Failure.self) {
      _ = try await ControlServer.bind(path: path, target: FakeTarget(), logger: quietLogger())
    }
    #expect(other?.reason == "a file that is not a socket is in the way")
    #expect(FileManager.default.fileExists(atPath: path))
  }

  @Test("a daemon that ends leaves the socket of its successor alone")
  func successor() async throws {
    let folder = try TestFolder()
    let path = folder.file("n.sock")
    let first = try await ControlServer.bind(path: path, target: FakeTarget(), logger: quietLogger())
    try FileManager.default.removeItem(atPath: path)
    let second = try await ControlServer.bind(path: path, target: FakeTarget(), logger: quietLogger())
    await first.close()
    #expect(try await ControlClient(path: path).send(.calls).ok)
    await second.close()
  }

  @Test("lines are cut at their ends, whatever the pieces", arguments: 1...7)
  func lines(size: Int) throws {
    var lines = ControlLines(maxLine: 10)
    var found: [String] = []
    let all = Array("one\r\n\ntwo\n0123456789\nrest".utf8)
    for start in stride(from: 0, to: all.count, by: size) {
      found += try lines.append(all[start..<min(start + size, all.count)]).map { String(decoding: $0, as: UTF8.self) }
    }
    #expect(found == ["one", "", "two", "0123456789"])
    #expect(throws: ControlLines.TooLong.self) { try lines.append(Array("0123456".utf8)) }
  }
}
