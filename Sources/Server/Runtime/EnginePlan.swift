import CallEngine
import LuaRuntime
import NetCore
import NextHop
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
        transport: listener.transport, local: listener.endpoint, advertised: Endpoint(said, listener.endpoint.port),
        near: Endpoint(reachable, listener.endpoint.port))
    }
    var settings = EngineSettings(listeners: list, domain: configuration.sip.domain, ownAddresses: own)
    settings.datagramLimit = configuration.sip.datagramLimit
    settings.registrar.minExpires = configuration.registrar.minExpires
    settings.registrar.maxExpires = configuration.registrar.maxExpires
    settings.registrar.maxContacts = configuration.registrar.maxContacts
    settings.registrar.path = configuration.registrar.path
    settings.registrar.serviceRoutes = configuration.registrar.serviceRoutes.map { Array($0.utf8) }
    settings.abuse = configuration.limits
    settings.advertisedMedia = advertise
    settings.localNetworks = configuration.sip.localNetworks
    settings.keepalive = configuration.sip.nat
    settings.mediaFamilies = configuration.media.addresses.map(\.family)
    settings.sessionExpires = UInt32(clamping: configuration.sip.sessionExpires)
    settings.minSE = UInt32(clamping: configuration.sip.minSE)
    settings.mediaTimeout = configuration.media.timeout
    settings.holdTimeout = configuration.media.holdTimeout
    settings.country = configuration.media.tones
    settings.sounds = configuration.dialplan.sounds
    settings.ringback = configuration.dialplan.ringback
    settings.failoverAfter = configuration.dns.failoverAfter
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

  /// Sockets and their limits.
  static func transport(
    _ configuration: ServerConfiguration, listen: [ListenAddress], shards: Int, tls: TLSContexts?
  ) -> ShardGroupConfiguration {
    var group = ShardGroupConfiguration(listen: listen, shards: shards)
    group.streams.maxConnections = configuration.sip.connections.total
    group.streams.maxConnectionsPerAddress = configuration.sip.connections.perAddress
    group.streams.messageTimeout = configuration.sip.connections.firstMessage
    group.streams.idleTimeout = configuration.sip.connections.idle
    group.streams.webSocketOrigins = configuration.sip.webSocketOrigins
    group.tls = tls
    return group
  }

  /// Users, access rules, trunks; a trunk's name is looked up when it is called.
  static func directory(
    _ configuration: ServerConfiguration, accounts: [UserAccount]
  ) throws(ConfigurationError) -> Directory {
    let access = configuration.access.flatMap { rule in
      rule.sources.map { AccessRule(source: $0, context: rule.context, authenticate: rule.authenticate) }
    }
    var trunks: [Trunk] = []
    for trunk in configuration.trunks {
      let ip = IPAddress(trunk.host)
      let host = ip?.family == .v6 ? "[\(trunk.host)]" : trunk.host
      let transport = trunk.transport ?? .udp
      var one = Trunk(
        name: trunk.name, destination: ip.map { Endpoint($0, trunk.port ?? transport.defaultPort) },
        host: trunk.port.map { "\(host):\($0)" } ?? host, transport: transport,
        peer: trunk.verifiesTLS ? PeerName(host: trunk.host) ?? .byAddress : .anyone, context: trunk.context,
        sources: trunk.sources, plan: plan(trunk))
      one.isTransportFixed = trunk.transport != nil
      one.isTrusted = trunk.trusted
      one.remotePartyID = trunk.remotePartyID
      trunks.append(one)
    }
    return Directory(users: accounts, access: access, trunks: trunks)
  }

  private static func plan(_ trunk: ServerConfiguration.Trunk) -> TrunkPlan {
    var plan = TrunkPlan()
    plan.ping = trunk.ping
    plan.downAfter = trunk.downAfter
    plan.maxCalls = trunk.maxCalls
    plan.callsPerSecond = trunk.callsPerSecond
    guard let user = trunk.username, let password = trunk.password else { return plan }
    plan.credentials = TrunkCredentials(user: trunk.authUsername ?? user, password: password, realms: trunk.realms)
    if trunk.register {
      plan.registration = TrunkRegistrationPlan(user: user, contactUser: trunk.contactUser, expires: trunk.expires)
    }
    return plan
  }
}
