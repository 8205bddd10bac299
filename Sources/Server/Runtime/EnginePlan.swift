import CallEngine
import Foundation
import LuaRuntime
import NetCore
import SIPDigest
import SIPTransport
import Storage

/// The configuration in the engine's terms.
enum EnginePlan {
  static func settings(_ configuration: ServerConfiguration, listeners: [ListenAddress]) -> EngineSettings {
    let advertise = configuration.sip.advertise
    var own: [IPAddress] = advertise
    let list = listeners.map { listener in
      let ip = listener.endpoint.ip
      let reachable = ip.isUnspecified ? configuration.media.addresses.first { $0.family == ip.family } ?? ip : ip
      if !own.contains(reachable) { own.append(reachable) }
      let said = advertise.first { $0.family == ip.family } ?? reachable
      return EngineSettings.Listener(
        transport: listener.transport, local: listener.endpoint, advertised: Endpoint(said, listener.endpoint.port))
    }
    var settings = EngineSettings(listeners: list, domain: configuration.sip.domain, ownAddresses: own)
    settings.registrar.minExpires = configuration.registrar.minExpires
    settings.registrar.maxExpires = configuration.registrar.maxExpires
    settings.registrar.maxContacts = configuration.registrar.maxContacts
    settings.events = configuration.events
    settings.advertisedMedia = advertise
    settings.mediaFamilies = configuration.media.addresses.map(\.family)
    settings.mediaTimeout = configuration.media.timeout
    settings.holdTimeout = configuration.media.holdTimeout
    settings.country = configuration.media.tones
    settings.sounds = configuration.dialplan.sounds
    settings.ringback = configuration.dialplan.ringback
    let limits = configuration.dialplan.limits
    settings.limits = LuaLimits()
    settings.limits.memoryBytes = limits.memory
    settings.limits.callMemoryBytes = limits.callMemory
    settings.limits.burst = .nanoseconds(limits.burst.nanoseconds)
    settings.limits.callCPU = .nanoseconds(limits.callCPU.nanoseconds)
    settings.limits.loadCPU = .nanoseconds(limits.loadCPU.nanoseconds)
    settings.limits.tasksPerCall = limits.tasksPerCall
    return settings
  }

  /// Users, access rules, trunks with their names resolved.
  static func directory(
    _ configuration: ServerConfiguration, accounts: [UserAccount]
  ) throws(ConfigurationError) -> Directory {
    let access = configuration.access.flatMap { rule in
      rule.sources.map { AccessRule(source: $0, context: rule.context, authenticate: rule.authenticate) }
    }
    var trunks: [Trunk] = []
    for trunk in configuration.trunks {
      let port = trunk.port ?? (trunk.transport == .tls ? 5061 : 5060)
      guard let ip = IPAddress(trunk.host) ?? resolve(trunk.host) else {
        throw ConfigurationError(file: configuration.file, "trunk \(trunk.name): \(trunk.host) cannot be resolved")
      }
      let host = ip.family == .v6 && IPAddress(trunk.host) != nil ? "[\(ip)]" : trunk.host
      trunks.append(
        Trunk(
          name: trunk.name, destination: Endpoint(ip, port), host: trunk.port == nil ? host : "\(host):\(port)",
          transport: trunk.transport, context: trunk.context, sources: trunk.sources))
    }
    return Directory(users: accounts, access: access, trunks: trunks)
  }

  /// The first address of a host name, by the system's resolver; blocks, so only while configuration is read.
  private static func resolve(_ name: String) -> IPAddress? {
    let host = Host(name: name)
    return host.addresses.lazy.compactMap { IPAddress($0) }.first
  }
}
