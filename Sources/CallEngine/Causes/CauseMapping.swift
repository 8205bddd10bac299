// RFC 3398: Q.850 causes and SIP statuses, each from the other. Where the RFC leaves a pair open, the comment says why.

extension Cause {
  /// The status of a final response that ends a call with this cause (RFC 3398 §7.2.4.1).
  public var status: Int {
    switch value {
    case 1, 2, 3: 404
    // No response in the RFC, which sends CANCEL or BYE; a reject with it says no more than "not now".
    case 16: 480
    case 17: 486
    case 18: 408
    case 19, 20: 480
    // 403 where a network refuses, 603 where the user does: this server speaks for the user.
    case 21: 603
    case 22, 23: 410
    case 26: 404
    case 27: 502
    case 28: 484
    case 29: 501
    case 31: 480
    case 34, 38, 41, 42, 47: 503
    // 55 and 57 in the RFC; 52 to 54 are their other directions and the field's names for them.
    case 52, 53, 54, 55, 57: 403
    case 58: 503
    case 65, 70: 488
    case 79: 501
    case 87: 403
    case 88: 503
    case 102: 504
    // "Any other cause": 500.
    default: 500
    }
  }

  /// The cause of a final status from 300 to 699 (RFC 3398 §8.2.6.1); another number is read as a 500.
  public init(status: Int) {
    self =
      switch status {
      case 300...399: .redirection
      case 401, 402, 403, 407: .callRejected
      case 404: .unallocatedNumber
      case 405: .known(63)
      case 406: .known(79)
      case 408: .recoveryOnTimerExpiry
      case 410: .known(22)
      case 413, 414: .interworking
      case 415: .known(79)
      case 416, 420, 421, 423: .interworking
      // Answers to what only SIP knows: 422 (RFC 4028), 494 (RFC 3329).
      case 422, 494: .interworking
      // The callee refuses this caller: 433 anonymous (RFC 5079), 428, 436…438 identity (RFC 8224).
      case 428, 433, 436, 437, 438: .callRejected
      case 480: .noUserResponse
      case 482, 483: .exchangeRoutingError
      case 484: .known(28)
      case 485: .unallocatedNumber
      case 486: .userBusy
      // No mapping in the RFC: the caller has cleared.
      case 487: .normalClearing
      // "By Warning header" in the RFC; all of its Warnings say that the media do not fit.
      case 488, 606: .incompatibleDestination
      case 501: .known(79)
      case 502: .networkOutOfOrder
      case 504: .recoveryOnTimerExpiry
      case 505, 513: .interworking
      case 600: .userBusy
      // 607 and 608 (RFC 8197, RFC 8688): unwanted, rejected on the callee's behalf.
      case 603, 607, 608: .callRejected
      case 604: .unallocatedNumber
      // Unknown ones are read as the x00 of their class (RFC 3261 §8.1.3.2).
      case 600...699: .userBusy
      default: .temporaryFailure
      }
  }

  private static func known(_ number: Int) -> Cause {
    guard let cause = Cause(number) else { preconditionFailure("\(number) is no Q.850 cause") }
    return cause
  }
}

/// What the caller is told of a callee's final status: challenges, extensions and session timers are between this
/// server and the callee, and to the caller its gateway failed.
public func statusForCaller(_ status: Int) -> Int {
  switch status {
  case 401, 407, 420, 421, 422, 494: 502
  default: status
  }
}

/// Which of the final statuses (300…699) of a fork goes to the caller, as an index (RFC 3261 §16.7, step 6): a 6xx
/// first, else the lowest class, as the caller will see them. In a class what helps to try again (415, 484) goes first,
/// then what a phone said, then 408 and 503, which mostly say that none was there; of equals the first.
///
/// The RFC also prefers 401, 407 and 420; here they cannot reach the caller. Nil for an empty list.
public func bestResponse(_ statuses: [Int]) -> Int? {
  func rank(_ status: Int) -> Int {
    let seen = statusForCaller(status)
    if seen >= 600 { return 0 }
    let within =
      switch seen {
      case 415, 484: 0
      case 408, 503: 2
      default: 1
      }
    return seen / 100 * 10 + within
  }
  return statuses.indices.min { rank(statuses[$0]) < rank(statuses[$1]) }
}
