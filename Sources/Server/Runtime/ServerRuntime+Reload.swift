import CallEngine
import Foundation
import Logging
import NetCore
import SIPTransport
import Storage
import Synchronization

extension ServerRuntime {
  /// Reads the configuration and the script again and swaps all at once on every shard: script, users, trunks, access
  /// rules. Any failure keeps what runs, and is thrown to the one who asked.
  /// - Returns: one line of what came of it.
  func reload() async throws -> String {
    do {
      let said = try await reloads.run { try await swap() }
      logger.notice("reloaded", metadata: ["result": .string(said)])
      return said
    } catch let error as ConfigurationError {
      for fault in error.faults { logger.error("reload refused: \(fault)") }
      throw error
    } catch {
      logger.error("reload refused: \(error)")
      throw error
    }
  }

  private func swap() async throws -> String {
    let old = state.withLock { $0.configuration }
    let read = old.file.isEmpty ? old : try ConfigurationReader.read(file: old.file)
    let restart = old.keysNeedingRestart(toBecome: read)
    let new = read.keepingFixedKeys(of: old)
    try await refuseWhenCrowded(new)
    let directory = try EnginePlan.directory(
      new, accounts: await UserAdministration(database: database, configuration: new).accounts())
    let settings = EnginePlan.settings(new, listeners: group.listeners)
    let tls = try TLSPlan.contexts(new, listening: new.sip.listen)
    let number = state.withLock { state in
      defer { state.nextGeneration += 1 }
      return state.nextGeneration
    }
    let generations = try await loader.load(
      number: number, configuration: new, directory: directory, settings: settings, shards: group.shards)
    for (shard, generation) in generations.enumerated() {
      // A full mailbox is one of new requests; it is drained in a moment, and all shards must swap.
      while !group.post(.adopt(generation), to: shard) { try await Task.sleep(for: .milliseconds(1)) }
    }
    if let tls {
      group.use(tls)
      TLSPlan.report(tls, logger)
    }
    state.withLock { state in
      state.configuration = new
      state.generation = generations[0].number
      state.directory = directory
    }
    names.apply(new.dns, to: services.hops)
    // Who has become a trunk, or is never to be banned, is heard at once.
    services.abuse.bans.removeAll { ip in
      new.limits.neverBanned.contains { $0.contains(ip) }
        || new.trunks.contains { $0.sources.contains { $0.contains(ip) } }
    }
    log.level = new.log.level.logging
    if !restart.isEmpty {
      logger.warning("changed keys that need a restart", metadata: ["keys": .string(restart.joined(separator: ", "))])
    }
    let after = restart.isEmpty ? "" : "; a restart is needed for \(restart.joined(separator: ", "))"
    return "generation \(generations[0].number) serves new calls\(after)"
  }

  /// At most so many generations live; past that the calls that hold the oldest are named.
  private func refuseWhenCrowded(_ configuration: ServerConfiguration) async throws {
    let shards = await snapshots()
    var numbers: Set<Int> = []
    for shard in shards { numbers.formUnion(shard.generations.map(\.number)) }
    guard numbers.count >= configuration.dialplan.maxGenerations, let oldest = numbers.min() else { return }
    let holders = shards.flatMap(\.calls).filter { $0.generation == oldest }.map(\.id).prefix(5)
    throw ConfigurationError(
      file: configuration.file,
      "\(numbers.count) generations are alive, the most that dialplan.max_generations allows; generation \(oldest) is "
        + "held by \(holders.joined(separator: ", "))")
  }

  /// What every shard says of itself, at nearly one time.
  func snapshots() async -> [ShardSnapshot] {
    await withTaskGroup(of: ShardSnapshot?.self) { tasks in
      for shard in 0..<group.shards {
        tasks.addTask { [group] in
          await withCheckedContinuation { done in
            if !group.post(.snapshot { done.resume(returning: $0) }, to: shard) { done.resume(returning: nil) }
          }
        }
      }
      var all: [ShardSnapshot] = []
      for await snapshot in tasks { if let snapshot { all.append(snapshot) } }
      return all.sorted { $0.shard < $1.shard }
    }
  }

  /// New calls get 503; returns when the last call has ended, or the time is over.
  func drain(seconds: Double) async {
    state.withLock { $0.isDraining = true }
    let (drained, tell) = AsyncStream.makeStream(of: Void.self)
    for shard in 0..<group.shards {
      if !group.post(.drain { tell.yield() }, to: shard) { tell.yield() }
    }
    let clock = Task {
      try? await Task.sleep(for: .seconds(seconds))
      tell.finish()
    }
    var left = group.shards
    for await _ in drained {
      left -= 1
      if left == 0 { break }
    }
    clock.cancel()
    guard left > 0 else { return }
    // Time is up: the calls that are left are ended, each peer gets its BYE or final response.
    for shard in 0..<group.shards { _ = group.post(.hangUpAll, to: shard) }
    _ = await snapshots()
  }
}
