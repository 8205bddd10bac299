import CallEngine
import Dispatch
import Foundation
import Logging
import NetCore
import SIPTransport
import ServiceLifecycle
import Storage

/// The daemon as a whole.
public enum Server {
  /// as `nightjar --version` says it.
  public static let version = "0.1.0"

  /// Runs in the foreground until SIGTERM has drained it.
  /// - Parameters:
  ///   - configuration: Its `file` is read again by a reload.
  ///   - drain: After SIGTERM calls may go on for so long.
  /// - Throws: `ConfigurationError`, `StorageError`, `ControlServer.Failure`, or what else keeps it from starting, as one
  ///   line; nothing after a clean end.
  public static func run(configuration: ServerConfiguration, drain: Duration) async throws {
    // Signals are taken over before anything listens, so that an early one is not the end.
    let signals = SignalService(signals: [SIGHUP, SIGTERM, SIGINT])
    let runtime = try await ServerRuntime.start(configuration)
    let control = try await ControlServer.bind(
      path: configuration.control.socket, target: runtime, logger: runtime.logger)
    let systemd = SystemdNotifier()
    systemd.ready(status: "serving")
    runtime.logger.notice(
      "nightjar \(version) serves",
      metadata: ["listen": .string(runtime.group.listeners.map(\.description).joined(separator: " "))])
    let group = ServiceGroup(
      configuration: .init(
        services: [
          .init(service: StorageService(runtime: runtime), successTerminationBehavior: .gracefullyShutdownGroup),
          .init(service: control, successTerminationBehavior: .gracefullyShutdownGroup),
          .init(
            service: SignalHandler(signals: signals, runtime: runtime, drain: drain, systemd: systemd),
            successTerminationBehavior: .gracefullyShutdownGroup),
        ], logger: runtime.logger))
    try await group.run()
    await runtime.stop()
    systemd.stopping()
  }

  /// Validates what the reader of the file cannot: the dialplan, certificates, users. Opens no socket.
  /// - Returns: every fault; none when the configuration will serve.
  public static func check(configuration: ServerConfiguration) async -> [ConfigurationFault] {
    let wallClock: @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1000) }
    let loader = GenerationLoader(
      keyValue: KeyValueStore(), logger: LogSettings(configuration.log).logger(label: "nightjar"), wallClock: wallClock)
    var faults: [ConfigurationFault] = []
    do { _ = try TLSPlan.contexts(configuration, listening: configuration.sip.listen) } catch { faults += error.faults }
    do {
      let directory = try EnginePlan.directory(configuration, accounts: [])
      _ = try await loader.load(
        number: 1, configuration: configuration, directory: directory,
        settings: EnginePlan.settings(configuration, listeners: []), shards: 1)
    } catch let error as ConfigurationError {
      faults += error.faults
    } catch {
      faults.append(ConfigurationFault(file: configuration.file, line: 0, message: "\(error)"))
    }
    guard let script = configuration.dialplan.script else { return faults }
    do {
      // What both find is told once, with its column.
      let read = try ScriptCheck.faults(of: configuration, script: script, name: GenerationLoader.shown(script))
      faults.removeAll { fault in read.contains { $0.file == fault.file && $0.line == fault.line } }
      faults = read + faults
    } catch {
      faults.append(ConfigurationFault(file: script, line: 0, message: "\(error)"))
    }
    return faults
  }
}

/// Runs the writers of bindings and records until the server has ended, what waits included.
struct StorageService: Service {
  let runtime: ServerRuntime

  func run() async throws {
    await withGracefulShutdownHandler {
      await withTaskGroup(of: Void.self) { group in
        group.addTask { await runtime.bindingStore.run() }
        group.addTask { await runtime.recordStore.run() }
        group.addTask { await cancelWhenGracefulShutdown { await runtime.expireBindings() } }
        await group.waitForAll()
      }
    } onGracefulShutdown: {
      runtime.bindingStore.close()
      runtime.recordStore.close()
    }
  }
}
