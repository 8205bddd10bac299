import Foundation
public import Logging
public import NIOCore
import NIOPosix
public import ServiceLifecycle
import Synchronization

/// The control socket of the daemon: a Unix domain socket that only its own user can open.
public final class ControlServer: Service {
  /// Why there is no control socket; one line.
  public struct Failure: Error, Sendable, CustomStringConvertible {
    public var path: String
    public var reason: String
    public var description: String { "control socket \(path): \(reason)" }
  }

  private let path: String
  private let identity: UnixSocket.Identity?
  private let listener: any Channel
  private let connections: ControlConnections
  private let logger: Logger

  private init(
    path: String, identity: UnixSocket.Identity?, listener: any Channel, connections: ControlConnections, logger: Logger
  ) {
    self.path = path
    self.identity = identity
    self.listener = listener
    self.connections = connections
    self.logger = logger
  }

  /// Opens the socket; clients are answered from now on. A socket file whose process is gone is replaced.
  /// - Throws: `Failure`, also when another daemon answers at `path`.
  public static func bind(
    path: String, target: any ControlTarget, logger: Logger, limits: ControlLimits = ControlLimits(),
    group: (any EventLoopGroup)? = nil
  ) async throws -> ControlServer {
    let folder = (path as NSString).deletingLastPathComponent
    let connections = ControlConnections(most: limits.maxConnections)
    do {
      try FileManager.default.createDirectory(
        atPath: folder.isEmpty ? "." : folder, withIntermediateDirectories: true,
        attributes: [.posixPermissions: NSNumber(value: 0o700)])
      switch try UnixSocket.probe(path: path) {
      case .nothing: break
      case .answers: throw Failure(path: path, reason: "another nightjar answers on it")
      case .notASocket: throw Failure(path: path, reason: "a file that is not a socket is in the way")
      case .stale: try FileManager.default.removeItem(atPath: path)
      }
      let descriptor = try UnixSocket.listen(path: path)
      let listener = try await ServerBootstrap(group: group ?? MultiThreadedEventLoopGroup.singleton)
        .childChannelInitializer { channel in
          guard connections.add(channel) else {
            logger.warning("control connection refused", metadata: ["reason": "\(limits.maxConnections) are open"])
            return channel.eventLoop.makeFailedFuture(ChannelError.connectPending)
          }
          return channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(
              ControlConnection(target: target, logger: logger, limits: limits))
          }
        }
        .withBoundSocket(descriptor).get()
      return ControlServer(
        path: path, identity: UnixSocket.identity(of: path), listener: listener, connections: connections,
        logger: logger)
    } catch let failure as Failure {
      throw failure
    } catch let failure as UnixSocket.Failure {
      throw Failure(path: path, reason: "\(failure)")
    } catch {
      throw Failure(path: path, reason: ConfigurationReader.reason(error))
    }
  }

  /// Serves until the graceful shutdown, then takes the socket away.
  public func run() async throws {
    await withGracefulShutdownHandler {
      await withTaskCancellationHandler {
        try? await listener.closeFuture.get()
      } onCancel: {
        listener.close(promise: nil)
      }
    } onGracefulShutdown: {
      self.listener.close(promise: nil)
    }
    await close()
  }

  /// Takes the socket away and closes what is open. `run` does so by itself.
  public func close() async {
    try? await listener.close().get()
    connections.closeAll()
    // A daemon that was started since may have put its own socket there.
    if let identity, UnixSocket.identity(of: path) == identity {
      try? FileManager.default.removeItem(atPath: path)
    }
  }
}

/// The open connections: counted, and closed together.
private final class ControlConnections: Sendable {
  private let most: Int
  private let open = Mutex<[ObjectIdentifier: any Channel]>([:])

  init(most: Int) { self.most = most }

  func add(_ channel: any Channel) -> Bool {
    let id = ObjectIdentifier(channel)
    let added = open.withLock { open in
      guard open.count < most else { return false }
      open[id] = channel
      return true
    }
    if added {
      channel.closeFuture.whenComplete { _ in self.open.withLock { $0[id] = nil } }
    }
    return added
  }

  func closeAll() {
    for channel in open.withLock({ Array($0.values) }) { channel.close(promise: nil) }
  }
}
