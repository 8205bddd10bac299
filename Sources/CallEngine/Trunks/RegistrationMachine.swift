import NetCore
import SIPDigest

/// Our registration at a carrier: RFC 3261 §10.2, with the waiting times of RFC 5626 §4.5. Without I/O and clock: what
/// the registrar said goes in, what is to be done comes out.
///
///     idle ──start──> registering ──200──────────────> registered ──half of what was granted──┐
///                        │ ^  ^ └──401, 407: answered, twice at most; 423: asks for longer    │
///           any failure  │ │  └──────────────────────────────────────────────────────────────-┘
///                        V │ 30 s … 30 min, longer with each failure in a row
///                      waiting
///     leave: from registered, or once the REGISTER that is out is answered ──> leaving ──any final──> ended
struct RegistrationMachine {
  private enum State {
    case idle
    /// A REGISTER is out. `answers`: challenges answered in a row; `isLonger`: a 423 was obeyed.
    case registering(answers: Int, isLonger: Bool)
    /// The registrar has our Contact; a timer runs until it must be told again.
    case registered
    /// The last attempt failed; a timer runs until the next one.
    case waiting
    /// The REGISTER that takes our Contact away is out.
    case leaving(answers: Int)
    case ended
  }

  enum Outcome {
    /// 2xx, with the seconds that our Contact has.
    case granted(seconds: Int)
    /// 401 or 407 with a challenge that we have credentials for; nil: there is none among what came.
    case challenged(DigestChallenge?, isProxy: Bool)
    /// 423 with its Min-Expires (§10.2.8).
    case tooBrief(minimum: Int?)
    /// Any other, 408 and 503 where nothing came.
    case refused(status: Int, retryAfter: Int?)
  }

  enum Action: Equatable {
    /// Send REGISTER, with `nextAnswer()` if there is one. Zero seconds takes the Contact away.
    case register(seconds: Int)
    case wait(Instant.Span)
    case ended
    case nothing
  }

  /// What the next request proves itself with.
  struct Answer {
    var challenge: DigestChallenge
    var isProxy: Bool
    /// How often the nonce has been used, this time included.
    var count: UInt32
  }

  private var state = State.idle
  private var answer: Answer?
  private var asked: Int
  private var failures = 0
  /// The registrar may have our Contact.
  private var mayBeKnown = false
  private var isToLeave = false

  init(expires: Int) { asked = expires }

  var isRegistered: Bool { if case .registered = state { true } else { false } }
  var isOver: Bool { if case .ended = state { true } else { false } }
  var isLeaving: Bool { isToLeave && !isOver }
  /// Attempts that failed in a row.
  var failuresInARow: Int { failures }

  /// RFC 7616 §3.4: a nonce may be used again with a higher count, which saves the challenge at a refresh.
  mutating func nextAnswer() -> Answer? {
    guard var next = answer, next.count < .max else { return nil }
    next.count += 1
    answer = next
    return next
  }

  mutating func start() -> Action {
    guard case .idle = state else { return .nothing }
    return register(answers: 0, isLonger: false)
  }

  /// The time of `wait` is over.
  mutating func timer() -> Action {
    switch state {
    case .registered, .waiting: return register(answers: 0, isLonger: false)
    case .idle, .registering, .leaving, .ended: return .nothing
    }
  }

  private mutating func register(answers: Int, isLonger: Bool) -> Action {
    state = .registering(answers: answers, isLonger: isLonger)
    return .register(seconds: asked)
  }

  /// - Parameter random: 64 fresh bits, for the jitter.
  mutating func received(_ outcome: Outcome, random: UInt64) -> Action {
    switch state {
    case .registering(let answers, let isLonger):
      return registering(outcome, answers: answers, isLonger: isLonger, random)
    case .leaving(let answers):
      guard case .challenged(let challenge?, let isProxy) = outcome, takes(challenge, isProxy, answers) else {
        state = .ended
        return .ended
      }
      state = .leaving(answers: answers + 1)
      return .register(seconds: 0)
    case .idle, .registered, .waiting, .ended:
      return .nothing
    }
  }

  private mutating func registering(_ outcome: Outcome, answers: Int, isLonger: Bool, _ random: UInt64) -> Action {
    switch outcome {
    case .granted(let seconds):
      failures = 0
      mayBeKnown = true
      state = .registered
      return isToLeave ? leaveNow() : .wait(RegistrationMachine.refresh(after: seconds))
    case .challenged(let challenge?, let isProxy) where !isToLeave && takes(challenge, isProxy, answers):
      return register(answers: answers + 1, isLonger: isLonger)
    case .tooBrief(let minimum?) where !isToLeave && !isLonger && minimum > asked:
      asked = min(minimum, RegistrationMachine.longest)
      return register(answers: answers, isLonger: true)
    case .challenged: return failed(status: 401, retryAfter: nil, random)
    case .tooBrief: return failed(status: 423, retryAfter: nil, random)
    case .refused(let status, let retryAfter): return failed(status: status, retryAfter: retryAfter, random)
    }
  }

  /// Answers a challenge once, and a second time only where the password was right and the nonce too old.
  private mutating func takes(_ challenge: DigestChallenge, _ isProxy: Bool, _ answers: Int) -> Bool {
    guard answers == 0 || (answers == 1 && challenge.isStale) else {
      answer = nil
      return false
    }
    answer = Answer(challenge: challenge, isProxy: isProxy, count: 0)
    return true
  }

  private mutating func failed(status: Int, retryAfter: Int?, _ random: UInt64) -> Action {
    failures += 1
    if isToLeave { return leaveNow() }
    state = .waiting
    if let retryAfter, retryAfter > 0 { return .wait(.seconds(Int64(min(retryAfter, RegistrationMachine.longest)))) }
    let most = Double(RegistrationMachine.longestWait)
    let doubled = RegistrationMachine.isFinal(status) ? most : 30 * Double(1 << min(failures, 10))
    // RFC 5626 §4.5: from half of it to all of it, so that those who failed together do not come back together.
    let part = 0.5 + Double(random >> 11) / Double(1 << 54)
    return .wait(.seconds(min(most, doubled) * part))
  }

  /// The registrar has spoken: asking again soon only brings a ban.
  static func isFinal(_ status: Int) -> Bool {
    switch status {
    case 401, 403, 404, 405, 407, 410, 416, 501, 600..<700: true
    default: false
    }
  }

  /// Takes our Contact away where the registrar may have it.
  mutating func leave() -> Action {
    isToLeave = true
    switch state {
    case .registered, .waiting: return leaveNow()
    case .idle:
      state = .ended
      return .ended
    case .registering, .leaving, .ended: return .nothing
    }
  }

  private mutating func leaveNow() -> Action {
    guard mayBeKnown else {
      state = .ended
      return .ended
    }
    state = .leaving(answers: 0)
    return .register(seconds: 0)
  }

  /// Seconds: more than a day or two is asked by nobody.
  private static let longest = 1 << 20
  /// RFC 5626 §4.5 `max-time`, seconds.
  private static let longestWait = 1800

  /// Ten minutes before the end of a long registration, at half of a short one (3GPP TS 24.229 §5.1.1.4.1).
  static func refresh(after seconds: Int) -> Instant.Span {
    seconds > 1200 ? .seconds(Int64(seconds - 600)) : .milliseconds(Int64(max(seconds, 2)) * 500)
  }
}
