/// One finished call: who, when, how long, why it ended and what was tried. Made when cause and side are final.
///
/// Texts are UTF-8 with what was not repaired (U+FFFD); times are milliseconds since 1970 by the wall clock. A length
/// computed from two of them may be off by a step of that clock, never negative.
public struct CallRecord: Hashable, Sendable {
  /// The call's id, as in the log and in `nightjar calls`.
  public var id: String
  /// When the INVITE came.
  public var startMs: Int64
  /// When the caller was sent his 2xx; nil where he was not.
  public var answerMs: Int64?
  /// When the last leg was over.
  public var endMs: Int64

  /// The caller's user part as he was shown to the callee, and his display name.
  public var from: String
  public var fromName: String
  /// The user part of the Request-URI that was dialled.
  public var to: String
  /// The dialplan context.
  public var context: String
  /// The authenticated user or the trunk that the call came from; nil for one let in without either.
  public var user: String?
  /// Where the INVITE came from: `udp:192.0.2.1:5060`.
  public var source: String
  /// The script generation that ran it.
  public var generation: Int

  /// The final status sent to the caller, 200 for an answered call.
  public var status: Int
  public var cause: Cause
  public var endedBy: Side

  public var attempts: [Attempt]
  /// What the script put into `call.vars`, in its order.
  public var vars: [Variable]
  /// `dialplan.lua:12: …` where the script failed.
  public var scriptError: String?
  public var media: [LegMedia]
  /// Who transferred one of its two sides, or by whose transfer the call came about; nil where nobody was.
  public var transferredBy: String?
  /// Where one of its two sides was transferred to, or with whom it went on.
  public var transferTarget: String?

  public enum Side: String, Hashable, Sendable, CaseIterable { case caller, callee, system }

  public init(
    id: String, startMs: Int64, answerMs: Int64? = nil, endMs: Int64, from: String, fromName: String = "", to: String,
    context: String, user: String? = nil, source: String, generation: Int, status: Int, cause: Cause, endedBy: Side,
    attempts: [Attempt] = [], vars: [Variable] = [], scriptError: String? = nil, media: [LegMedia] = [],
    transferredBy: String? = nil, transferTarget: String? = nil
  ) {
    self.id = id
    self.startMs = startMs
    self.answerMs = answerMs
    self.endMs = endMs
    self.from = from
    self.fromName = fromName
    self.to = to
    self.context = context
    self.user = user
    self.source = source
    self.generation = generation
    self.status = status
    self.cause = cause
    self.endedBy = endedBy
    self.attempts = attempts
    self.vars = vars
    self.scriptError = scriptError
    self.media = media
    self.transferredBy = transferredBy
    self.transferTarget = transferTarget
  }

  /// From the INVITE to the end.
  public var durationMs: Int64 { max(0, endMs &- startMs) }
  /// From the answer to the end; zero for an unanswered call.
  public var talkMs: Int64 { answerMs.map { max(0, endMs &- $0) } ?? 0 }
  /// From the INVITE to the answer, else to the end.
  public var setupMs: Int64 { max(0, (answerMs ?? endMs) &- startMs) }
}

extension CallRecord {
  /// One b-leg that was tried; the same fields as in the result of a script's `dial`.
  public struct Attempt: Hashable, Sendable {
    /// As the script named it: `user/1001`, `trunk/alpha/4930…`.
    public var target: String
    /// The Request-URI that was sent; empty where nothing could be.
    public var uri: String
    /// Where it was sent: `192.0.2.7:5060`; empty where it was not.
    public var ip: String
    /// The final status, also where this server made it (480, 408, 503, 487).
    public var status: Int
    public var cause: Cause
    /// The provisional statuses in the order they came, 100 left out.
    public var provisional: [Int]
    /// True where it brought an SDP before the answer.
    public var earlyMedia: Bool
    /// From the INVITE to its final response.
    public var ms: Int64

    public init(
      target: String, uri: String = "", ip: String = "", status: Int, cause: Cause, provisional: [Int] = [],
      earlyMedia: Bool = false, ms: Int64 = 0
    ) {
      self.target = target
      self.uri = uri
      self.ip = ip
      self.status = status
      self.cause = cause
      self.provisional = provisional
      self.earlyMedia = earlyMedia
      self.ms = ms
    }
  }

  /// One entry of `call.vars`.
  public struct Variable: Hashable, Sendable {
    public var name: String
    public var value: JSONValue

    public init(_ name: String, _ value: JSONValue) {
      self.name = name
      self.value = value
    }
  }

  /// What the media plane counted for one leg.
  public struct LegMedia: Hashable, Sendable {
    /// `caller`, `callee`.
    public var leg: String
    /// Where its RTP came from in the end; empty where none came.
    public var remote: String
    public var codec: String
    public var packetsIn: UInt64
    public var packetsOut: UInt64
    public var bytesIn: UInt64
    public var bytesOut: UInt64
    /// Packets that were missing in what came in.
    public var lost: UInt64
    /// Interarrival jitter (RFC 3550 §6.4.1) at the end.
    public var jitterMs: Double

    public init(
      leg: String, remote: String = "", codec: String = "", packetsIn: UInt64 = 0, packetsOut: UInt64 = 0,
      bytesIn: UInt64 = 0, bytesOut: UInt64 = 0, lost: UInt64 = 0, jitterMs: Double = 0
    ) {
      self.leg = leg
      self.remote = remote
      self.codec = codec
      self.packetsIn = packetsIn
      self.packetsOut = packetsOut
      self.bytesIn = bytesIn
      self.bytesOut = bytesOut
      self.lost = lost
      self.jitterMs = jitterMs
    }
  }
}

/// A finished call whose record is still to be made: what the shard hands over costs it one allocation, and texts are
/// written by whoever keeps them, off its loop.
public struct PendingRecord: Sendable {
  public let make: @Sendable () -> CallRecord

  public init(_ make: @escaping @Sendable () -> CallRecord) { self.make = make }
}

/// Where finished calls go.
public protocol RecordSink: Sendable {
  /// Called from a shard's loop: never blocks, never fails. What does not fit is counted and dropped by the sink.
  func append(_ record: PendingRecord)
}

extension RecordSink {
  public func append(_ record: CallRecord) { append(PendingRecord { record }) }
}
