import CallEngine
import Foundation
import Media
import NetCore
import NextHop
import SIPDigest
import SIPTransport
import Storage
import Synchronization

extension ServerRuntime: ControlTarget {
  func perform(_ command: ControlCommand) async throws -> ControlReply {
    switch command {
    case .status: return .status(await status())
    case .calls: return .calls(await calls())
    case .registrations: return .registrations(registrations())
    case .trunks: return .trunks(trunks())
    case .generations: return .generations(await generations())
    case .reload: return ControlReply(message: try await reload())
    case .hangup(let id):
      return await hangUp(id) ? ControlReply(message: "call \(id) is being ended") : .failed("no call \(id)")
    case .bans: return .bans(bans())
    case .unban(let source): return unban(source)
    case .userAdd, .userList, .userRemove, .userPassword: return try await users(command)
    }
  }

  func trace(callID: String?) -> AsyncStream<String> { services.trace.lines(callID: callID) }

  // MARK: reports

  private func status() async -> StatusReport {
    let shards = await snapshots()
    let (generation, draining) = state.withLock { ($0.generation, $0.isDraining) }
    var counters = Dictionary(services.counters.all, uniquingKeysWith: { first, _ in first })
    for field in Mirror(reflecting: group.statistics).children {
      if let name = field.label, let value = field.value as? UInt64 { counters["transport.\(name)"] = Int(value) }
    }
    counters["records.dropped"] = recordStore.dropped
    counters["bindings.dropped"] = bindingStore.dropped
    counters["transactions"] = shards.reduce(0) { $0 + $1.transactions }
    counters["timers"] = shards.reduce(0) { $0 + $1.timers }
    let hops = services.hops.statistics
    counters["dns.hits"] = hops.hits
    counters["dns.waits"] = hops.waits
    counters["dns.questions"] = hops.questions
    counters["dns.failures"] = hops.failures
    counters["dns.cached"] = hops.cached
    let abuse = services.abuse.counts
    counters["abuse.bans"] = abuse.bans
    counters["abuse.refused"] = abuse.refused
    counters["abuse.dropped"] = abuse.dropped
    let usage = media.usage
    return StatusReport(
      version: Server.version, process: ProcessInfo.processInfo.processIdentifier,
      uptimeSeconds: Double((ContinuousClock.now - started).components.seconds), generation: generation,
      draining: draining, listen: group.listeners.map(\.description), shards: group.shards,
      calls: shards.reduce(0) { $0 + $1.calls.count }, registrations: services.bindings.counts.bindings,
      mediaPortsUsed: usage.leased * 2, mediaPorts: media.capacity * 2, counters: counters)
  }

  private func calls() async -> [CallReport] {
    let now = services.wallClock()
    return await snapshots().flatMap { shard in
      shard.calls.map { call in
        CallReport(
          id: call.id, state: call.state, from: call.from, to: call.to, context: call.context,
          generation: call.generation, shard: shard.shard, legs: call.legs,
          seconds: Double(max(0, now - call.startMilliseconds)) / 1000)
      }
    }
  }

  private func registrations() -> [RegistrationReport] {
    let now = services.wallClock() / 1000
    return services.bindings.snapshot().filter { $0.binding.expires > now }.map { user, binding in
      RegistrationReport(
        user: String(decoding: user, as: UTF8.self), contact: String(decoding: binding.contact, as: UTF8.self),
        source: "\(binding.flow.transport.parameterName) \(binding.flow.remote)",
        priority: Double(binding.q ?? 1000) / 1000, expiresInSeconds: Int(binding.remaining(nowSeconds: now)),
        agent: binding.userAgent.isEmpty ? nil : String(decoding: binding.userAgent, as: UTF8.self))
    }
  }

  private func bans() -> [BanReport] {
    let now = Instant.now
    return services.abuse.bans.list(now: now).map { ban in
      BanReport(
        source: ban.source.family == .v6 ? "\(ban.source)/64" : "\(ban.source)",
        sinceMilliseconds: ban.sinceMilliseconds, secondsLeft: Int((ban.until - now).seconds.rounded(.up)))
    }
  }

  private func unban(_ source: String?) -> ControlReply {
    guard let source else {
      return ControlReply(message: "\(services.abuse.bans.removeAll()) bans ended")
    }
    let text = source.hasSuffix("/64") ? String(source.dropLast(3)) : source
    guard let ip = IPAddress(text) else { return .failed("\(source) is not an address") }
    return services.abuse.bans.remove(ip)
      ? ControlReply(message: "\(source) is heard again") : .failed("\(source) is not banned")
  }

  private func trunks() -> [TrunkReport] {
    let now = services.wallClock()
    return state.withLock { $0.directory }.trunks.map { trunk in
      let status = services.trunks.status(of: trunk.name).current
      var report = TrunkReport(
        name: trunk.name, host: trunk.host, transport: trunk.transport.parameterName, context: trunk.context,
        up: trunk.plan.ping > .zero ? status.isUp : nil,
        roundTripMilliseconds: status.roundTrip.map { ($0.seconds * 10_000).rounded() / 10 }, calls: status.calls)
      report.maxCalls = trunk.plan.maxCalls
      report.callsIn = status.totalIncoming
      report.callsOut = status.totalOutgoing
      report.callsRefused = status.refused
      report.problem = status.problem
      if trunk.plan.registration != nil {
        report.registered = status.isRegistered(atMilliseconds: now)
        report.registrationExpiresIn = status.registeredUntil.map { Int(max(0, $0 - now) / 1000) }
      }
      return report
    }
  }

  private func generations() async -> [GenerationReport] {
    let (current, script) = state.withLock { ($0.generation, $0.configuration.dialplan.script) }
    var reports: [Int: GenerationReport] = [:]
    for shard in await snapshots() {
      for (number, calls, memory) in shard.generations {
        var report =
          reports[number]
          ?? GenerationReport(number: number, current: number == current, calls: 0, memoryBytes: 0, script: script)
        report.calls += calls
        report.memoryBytes += memory
        reports[number] = report
      }
    }
    return reports.values.sorted { $0.number < $1.number }
  }

  private func hangUp(_ id: String) async -> Bool {
    for shard in 0..<group.shards {
      let found = await withCheckedContinuation { done in
        if !group.post(.hangUp(call: id) { done.resume(returning: $0) }, to: shard) { done.resume(returning: false) }
      }
      if found { return true }
    }
    return false
  }

  // MARK: users

  /// A change of the database's users is effective at once, on every shard.
  private func users(_ command: ControlCommand) async throws -> ControlReply {
    try await reloads.run {
      let configuration = state.withLock { $0.configuration }
      let administration = UserAdministration(database: database, configuration: configuration)
      guard let reply = try await administration.perform(command) else { return .failed("not a command about users") }
      if case .userList = command { return reply }
      guard reply.ok else { return reply }
      let directory = try EnginePlan.directory(configuration, accounts: await administration.accounts())
      state.withLock { $0.directory = directory }
      for shard in 0..<group.shards {
        while !group.post(.directory(directory), to: shard) { try await Task.sleep(for: .milliseconds(1)) }
      }
      return reply
    }
  }
}
