/// What the caller is sent while callees ring. A machine without I/O: what the callees say goes in, what the caller is
/// to hear comes out.
///
///     silent ──18x, policy 180──────────────> ringing            (180 without SDP; the phone rings by itself)
///        │ ──18x, a tone policy──────────────> generating         (183 with SDP; we make the tone, RFC 3960 §4)
///        └─ ──183 with SDP, passthrough──────> early(leg)         (183 with SDP; the callee's own media)
///     ringing ──183 with SDP, passthrough────> early(leg)
///     early ──180, passthrough───────────────> early              (180 is passed on too)
struct RingbackMachine {
  enum Action: Equatable {
    case nothing
    /// 180 (or 181, 182) without SDP.
    case ring(status: Int)
    /// 183 with the server's own answer, and the source over RTP.
    case generate
    /// 183 with SDP, and the callee's early media through the relay.
    case relay(leg: Int)
    /// A later 183 with SDP of the leg that is heard already: the promise stands (RFC 6337 §3.1.1), pass it on again.
    case repeatRelay
  }

  private enum State: Equatable {
    case silent
    case ringing
    case generating
    case early(leg: Int)
  }

  private var state = State.silent
  let policy: RingbackPolicy
  /// The caller was answered before the dial: no 18x is sent any more, only media changes.
  let answered: Bool
  /// Several legs ring: nobody's early media is taken, unless the first one's is asked for.
  private let takesFirst: Bool

  /// `generates`: the offer has a codec that we can make. `offered`: there was an offer at all.
  init(policy: RingbackPolicy, generates: Bool, offered: Bool, answered: Bool, takesFirst: Bool) {
    var policy = policy
    if policy.generatesAudio, !generates { policy = .ringing }
    if !offered { policy = .ringing }
    // To an answered caller a 180 says nothing: he hears the tone.
    if answered, policy == .ringing, generates { policy = .tone }
    self.policy = policy
    self.answered = answered
    self.takesFirst = takesFirst
  }

  var isGenerating: Bool { state == .generating }
  var earlyLeg: Int? { if case .early(let leg) = state { leg } else { nil } }

  /// Nobody said anything for `no_progress_after` seconds.
  mutating func noProgress() -> Action {
    guard state == .silent else { return .nothing }
    // A tone still begins with the first 18x of a callee.
    if !policy.generatesAudio { state = .ringing }
    return ring(180)
  }

  /// An answered caller hears the ringing from the start of the dial, as no 18x need tell his phone.
  mutating func dialled() -> Action {
    guard answered, policy.generatesAudio, state == .silent else { return .nothing }
    state = .generating
    return .generate
  }

  /// A callee's provisional response (not 100). `alone`: no other leg rings.
  mutating func provisional(_ status: Int, leg: Int, hasSDP: Bool, alone: Bool) -> Action {
    guard policy == .passthrough else {
      return state == .silent ? begin(status: status) : .nothing
    }
    let takes = hasSDP && (alone || takesFirst)
    switch state {
    case .silent, .ringing:
      if takes {
        state = .early(leg: leg)
        return .relay(leg: leg)
      }
      if state == .ringing { return status == 181 || status == 182 ? ring(status) : .nothing }
      state = .ringing
      return ring(status)
    case .early(let heard):
      if takes, heard == leg, status == 183 { return answered ? .nothing : .repeatRelay }
      return status != 183 ? ring(status) : .nothing
    case .generating:
      return .nothing
    }
  }

  /// The leg whose media was heard failed; the next one may be heard.
  mutating func failed(leg: Int) {
    if state == .early(leg: leg) { state = .ringing }
  }

  private mutating func begin(status: Int) -> Action {
    switch policy {
    case .ringing, .passthrough:
      state = .ringing
      return ring(status)
    case .tone, .toneUntilMedia, .play:
      state = .generating
      return .generate
    }
  }

  private func ring(_ status: Int) -> Action {
    if answered { return .nothing }
    return .ring(status: status == 181 || status == 182 ? status : 180)
  }
}
