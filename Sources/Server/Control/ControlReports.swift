/// What `nightjar status` shows. Field names here are the names in JSON, in snake case.
public struct StatusReport: Sendable, Codable, Equatable {
  public var version: String
  public var process: Int32
  public var uptimeSeconds: Double
  /// The script generation that new calls run; 0 without a script.
  public var generation: Int
  /// New calls are refused; the daemon ends when the last call has ended.
  public var draining: Bool
  public var listen: [String]
  public var shards: Int
  public var calls: Int
  public var registrations: Int
  public var mediaPortsUsed: Int
  public var mediaPorts: Int
  /// Totals since the start.
  public var counters: [String: Int]

  public init(
    version: String, process: Int32, uptimeSeconds: Double, generation: Int, draining: Bool, listen: [String],
    shards: Int, calls: Int, registrations: Int, mediaPortsUsed: Int, mediaPorts: Int, counters: [String: Int]
  ) {
    self.version = version
    self.process = process
    self.uptimeSeconds = uptimeSeconds
    self.generation = generation
    self.draining = draining
    self.listen = listen
    self.shards = shards
    self.calls = calls
    self.registrations = registrations
    self.mediaPortsUsed = mediaPortsUsed
    self.mediaPorts = mediaPorts
    self.counters = counters
  }
}

/// A live call.
public struct CallReport: Sendable, Codable, Equatable {
  public var id: String
  public var state: String
  public var from: String
  public var to: String
  public var context: String
  public var generation: Int
  public var shard: Int
  public var legs: Int
  public var seconds: Double

  public init(
    id: String, state: String, from: String, to: String, context: String, generation: Int, shard: Int, legs: Int,
    seconds: Double
  ) {
    self.id = id
    self.state = state
    self.from = from
    self.to = to
    self.context = context
    self.generation = generation
    self.shard = shard
    self.legs = legs
    self.seconds = seconds
  }
}

/// A contact that a user registered.
public struct RegistrationReport: Sendable, Codable, Equatable {
  public var user: String
  public var contact: String
  /// Where the request came from: `udp 192.0.2.7:5060`.
  public var source: String
  public var priority: Double
  public var expiresInSeconds: Int
  public var agent: String?

  public init(
    user: String, contact: String, source: String, priority: Double, expiresInSeconds: Int, agent: String? = nil
  ) {
    self.user = user
    self.contact = contact
    self.source = source
    self.priority = priority
    self.expiresInSeconds = expiresInSeconds
    self.agent = agent
  }
}

/// A source that nothing is read from.
public struct BanReport: Sendable, Codable, Equatable {
  /// An address, or the /64 of an IPv6 one.
  public var source: String
  /// Since 1970.
  public var sinceMilliseconds: Int64
  public var secondsLeft: Int

  public init(source: String, sinceMilliseconds: Int64, secondsLeft: Int) {
    self.source = source
    self.sinceMilliseconds = sinceMilliseconds
    self.secondsLeft = secondsLeft
  }
}

public struct TrunkReport: Sendable, Codable, Equatable {
  public var name: String
  public var host: String
  public var transport: String
  public var context: String
  /// Nil: it is not pinged.
  public var up: Bool?
  public var roundTripMilliseconds: Double?
  /// That ring or talk now, both directions.
  public var calls: Int
  /// 0: no limit.
  public var maxCalls = 0
  /// Since the start: from it, to it, and those that a limit or its being down kept from it.
  public var callsIn = 0
  public var callsOut = 0
  public var callsRefused = 0
  /// Nil: we do not register there.
  public var registered: Bool?
  /// Seconds.
  public var registrationExpiresIn: Int?
  /// What went wrong last, until it goes well.
  public var problem: String?

  public init(
    name: String, host: String, transport: String, context: String, up: Bool? = nil,
    roundTripMilliseconds: Double? = nil, calls: Int = 0
  ) {
    self.name = name
    self.host = host
    self.transport = transport
    self.context = context
    self.up = up
    self.roundTripMilliseconds = roundTripMilliseconds
    self.calls = calls
  }
}

/// A script that new calls run, or that old calls still run.
public struct GenerationReport: Sendable, Codable, Equatable {
  public var number: Int
  public var current: Bool
  public var calls: Int
  /// Of all its VMs.
  public var memoryBytes: Int
  public var script: String?

  public init(number: Int, current: Bool, calls: Int, memoryBytes: Int, script: String? = nil) {
    self.number = number
    self.current = current
    self.calls = calls
    self.memoryBytes = memoryBytes
    self.script = script
  }
}

/// A user; never his password or what it hashes to.
public struct UserReport: Sendable, Codable, Equatable {
  public var name: String
  public var context: String
  public var callerName: String?
  public var callerNumber: String?
  /// `database`, or `file` for one whom the configuration names.
  public var origin: String

  public init(
    name: String, context: String, callerName: String? = nil, callerNumber: String? = nil, origin: String
  ) {
    self.name = name
    self.context = context
    self.callerName = callerName
    self.callerNumber = callerNumber
    self.origin = origin
  }
}
