import CallEngine
import Dispatch
import Foundation
import Logging
import LuaRuntime
import NetCore

/// Reads, compiles and runs a dialplan for every shard, away from the loops. All or nothing: what it throws leaves the
/// running generation as it was.
struct GenerationLoader: Sendable {
  var keyValue: KeyValueStore
  var logger: Logger
  var wallClock: @Sendable () -> Int64

  /// One generation a shard; nil where no script is configured.
  /// - Throws: `ConfigurationError` with file and line.
  func load(
    number: Int, configuration: ServerConfiguration, directory: Directory, settings: EngineSettings, shards: Int
  ) async throws -> [Generation] {
    let queue = DispatchQueue(label: "nightjar.dialplan", qos: .utility)
    return try await withCheckedThrowingContinuation { done in
      queue.async {
        done.resume(
          with: Result {
            try compile(
              number: number, configuration: configuration, directory: directory, settings: settings, shards: shards)
          })
      }
    }
  }

  /// The same, on the caller's thread: `nightjar check`.
  func compile(
    number: Int, configuration: ServerConfiguration, directory: Directory, settings: EngineSettings, shards: Int
  ) throws(ConfigurationError) -> [Generation] {
    guard let path = configuration.dialplan.script else {
      return (0..<shards).map { _ in
        Generation(number: 0, vm: nil, directory: directory, settings: settings)
      }
    }
    guard let data = FileManager.default.contents(atPath: path) else {
      throw ConfigurationError(file: path, "the dialplan cannot be read")
    }
    let source = Array(data)
    var generations: [Generation] = []
    for shard in 0..<shards {
      do throws(LuaFailure) {
        let vm = try DialplanLoader.load(
          source: source, name: Self.shown(path), directory: (path as NSString).deletingLastPathComponent,
          limits: settings.limits,
          surroundings: .init(keyValue: keyValue, logger: logger, wallClock: wallClock, generation: number),
          runsLoadHandlers: shard == 0)
        generations.append(
          Generation(number: number, vm: VMHandoff(vm), directory: directory, settings: settings))
      } catch {
        throw GenerationLoader.fault(error, path: Self.shown(path))
      }
    }
    return generations
  }

  /// Errors name the script as a person would: relative to where the daemon was started, if it is below.
  static func shown(_ path: String) -> String {
    let here = FileManager.default.currentDirectoryPath + "/"
    return path.hasPrefix(here) ? String(path.dropFirst(here.count)) : path
  }

  /// `dialplan.lua:12: what` as a fault of that file and line.
  static func fault(_ failure: LuaFailure, path: String) -> ConfigurationError {
    let file = failure.file ?? path
    let line = failure.line ?? 0
    var message = failure.message
    let place = "\(file):\(line): "
    if message.hasPrefix(place) { message = String(message.dropFirst(place.count)) }
    return ConfigurationError(faults: [ConfigurationFault(file: file, line: line, message: message)])
  }
}
