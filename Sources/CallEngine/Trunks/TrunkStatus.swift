public import NetCore
internal import NextHop
internal import SIPDigest
internal import SIPMessage
internal import Synchronization

/// What is known of a trunk at this moment. One for all shards: a leaf, its lock is held over nothing but these fields.
public final class TrunkStatus: Sendable {
  public struct State: Sendable {
    /// False once pings go unanswered. True where none are sent.
    public var isUp = true
    /// Of the last ping that was answered.
    public var roundTrip: Instant.Span?
    /// Calls that ring or talk now: from the trunk, to the trunk.
    public var incoming = 0
    public var outgoing = 0
    /// Totals since the start, and calls that a limit or its being down kept from it.
    public var totalIncoming = 0
    public var totalOutgoing = 0
    public var refused = 0
    /// Wall clock in milliseconds; nil: not registered, or not any more.
    public var registeredUntil: Int64?
    /// What went wrong last, until it goes well: with our account there, else with the pings.
    public var problem: String? { accountProblem ?? pingProblem }
    var accountProblem: String?
    var pingProblem: String?
    /// The realm that its own host asked for, where the configuration names none.
    var realm: [UInt8]?
    /// Route of calls to it (RFC 3608), first hop first.
    var serviceRoute: [[UInt8]] = []
    /// Its servers, as they were found last: where credentials may go.
    var servers: [Hop] = []
    /// In the Contact that we registered, and nowhere else.
    var contactToken: [UInt8]?
    fileprivate var bucket = TokenBucket()

    public var calls: Int { incoming + outgoing }
    public func isRegistered(atMilliseconds wall: Int64) -> Bool { registeredUntil.map { $0 > wall } ?? false }
  }

  /// Why a call is not sent to a trunk.
  enum Refusal: Sendable { case down, full, tooFast }

  private let state: Mutex<State> = Mutex(State())

  public var current: State { state.withLock { $0 } }

  func update(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }

  /// A place for a call to the trunk, given back with `release`.
  func takeOutgoing(_ plan: TrunkPlan, now: Instant) -> Refusal? {
    state.withLock { state in
      let refusal: Refusal?
      if !state.isUp {
        refusal = .down
      } else if plan.maxCalls > 0, state.calls >= plan.maxCalls {
        refusal = .full
      } else if plan.callsPerSecond > 0, !state.bucket.take(rate: plan.callsPerSecond, now: now) {
        refusal = .tooFast
      } else {
        refusal = nil
        state.outgoing += 1
        state.totalOutgoing += 1
      }
      if refusal != nil { state.refused += 1 }
      return refusal
    }
  }

  /// Whether it is down; a call is then counted as refused.
  func refusesAsDown() -> Bool {
    state.withLock { state in
      if !state.isUp { state.refused += 1 }
      return !state.isUp
    }
  }

  /// A place for a call from the trunk; false where `maxCalls` are up.
  func takeIncoming(_ plan: TrunkPlan) -> Bool {
    state.withLock { state in
      guard plan.maxCalls == 0 || state.calls < plan.maxCalls else {
        state.refused += 1
        return false
      }
      state.incoming += 1
      state.totalIncoming += 1
      return true
    }
  }

  func release(incoming: Bool) {
    state.withLock { state in
      if incoming { state.incoming -= 1 } else { state.outgoing -= 1 }
    }
  }

  /// Whether a call would find a place now; takes none.
  func isUsable(_ plan: TrunkPlan) -> Bool {
    state.withLock { $0.isUp && (plan.maxCalls == 0 || $0.calls < plan.maxCalls) }
  }

  /// Whether credentials are for this realm: one that is configured, else the first that the trunk's own host asks for.
  func accepts(_ realm: [UInt8], _ credentials: TrunkCredentials) -> Bool {
    if !credentials.realms.isEmpty { return credentials.realms.contains { realm.elementsEqual($0.utf8) } }
    return state.withLock { state in
      if state.realm == nil { state.realm = realm }
      return state.realm == realm
    }
  }

  /// The challenge of the trunk's registrar that we answer. Where no realm is configured its own is the trunk's from now
  /// on: it may have another one than before.
  func registrarChallenge(of values: [Bytes], _ credentials: TrunkCredentials) -> DigestChallenge? {
    let challenge = DigestChallenge.best(of: values) { realm in
      credentials.realms.isEmpty || credentials.realms.contains { realm.elementsEqual($0.utf8) }
    }
    if let challenge, credentials.realms.isEmpty { update { $0.realm = challenge.realm } }
    return challenge
  }
}

/// The status of every trunk by its name.
public final class TrunkTable: Sendable {
  private let table = Mutex<[String: TrunkStatus]>([:])

  public init() {}

  /// Made at the first asking: names come from the configuration, so there are few.
  public func status(of name: String) -> TrunkStatus {
    table.withLock { table in
      if let known = table[name] { return known }
      let new = TrunkStatus()
      table[name] = new
      return new
    }
  }

  /// The configuration no longer names it. Calls that are left count in what they hold.
  func forget(_ name: String) { table.withLock { $0[name] = nil } }
}
