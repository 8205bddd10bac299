import LuaRuntime
import NetCore
import SIPMessage
import SIPTransaction

/// Where one leg of a dial goes, as the script named it and as it was resolved.
struct DialTarget: Sendable {
  enum Place: Sendable {
    /// All bindings of a user.
    case user([UInt8])
    /// One of them.
    case binding(user: [UInt8], Binding)
    case trunk(name: String, number: [UInt8])
    case uri([UInt8])
  }
  var place: Place
  /// The script's own word for it, for `attempts`.
  var name: [UInt8]
  var headers: [(name: [UInt8], value: [UInt8])] = []
  var remove: [[UInt8]] = []
  var from: [UInt8]?
  var asserted: [UInt8]?
  var privacy: [UInt8]?
  /// Names of the codecs that this callee is offered; nil: all of the caller's.
  var codecs: [String]?
  var isTrunk: Bool { if case .trunk = place { true } else { false } }
  var timeout: Instant.Span?
  var delay: Instant.Span?
  /// What a hunt for the least calls counts this target's legs by; nil for a trunk, which counts its own.
  var counted: [UInt8]?
  /// The 3xx by which we came here, the last one last (RFC 5806, 7044).
  var forwardings: [Forwarding] = []
}

struct DialOptions: Sendable {
  var timeout: Instant.Span
  var ringback: RingbackPolicy
  /// Colour ring-back of several files, one after the other.
  var ringbackFiles: [String] = []
  var tone: String
  var rule = FailoverRule.any
  var maxDuration: Instant.Span?
  var rtpTimeout: Instant.Span?
  var noProgressAfter: Instant.Span?
  var takesFirst = false
  var continuesAfterBridge = false
  /// What becomes of a REFER of either phone; nil: `on.refer`, else the server transfers.
  var referHandling: ReferHandling?
  /// How many contacts of 3xx responses are followed.
  var redirects = 0
  /// They may lead to strangers; else only to users of ours.
  var redirectsAnywhere = false
  var headers: [(name: [UInt8], value: [UInt8])] = []
}

/// A dial in progress: the tree of targets, what the caller hears, and the task that waits for the result.
final class Dial {
  enum Stage { case ringing, bridged }

  let task: Int
  var tree: DialTree
  var ringback: RingbackMachine
  let options: DialOptions
  let started: Instant
  var stage = Stage.ringing
  var firstRing: Instant?
  var answered: Instant?
  var timer: TimerHandle?
  var progressTimer: TimerHandle?
  /// Targets whose `delay` runs.
  var delayed: [(leaf: DialTree.Leaf, at: Instant)] = []
  var delayTimer: TimerHandle?
  /// Legs that ring now.
  var ringing: [Leg] = []
  /// Nil where the script follows no 3xx.
  var redirection: Redirection?
  /// The last 3xx that was not followed.
  var forwarding: Forwarding?
  /// First of this dial's in `Call.attempts`.
  let firstAttempt: Int

  init(
    task: Int, tree: DialTree, ringback: RingbackMachine, options: DialOptions, started: Instant, firstAttempt: Int
  ) {
    self.task = task
    self.tree = tree
    self.ringback = ringback
    self.options = options
    self.started = started
    self.firstAttempt = firstAttempt
    if options.redirects > 0 { redirection = Redirection(limit: options.redirects) }
  }
}
