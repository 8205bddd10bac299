internal import NetCore

/// Answers by question, for as long as they may be kept; bounded.
///
/// An answer that is too old is still kept for a while, for when no fresh one can be had (RFC 8767). When it is full, the
/// one goes that was not used since the hand last came round ("clock").
struct AnswerCache {
  struct Limits: Sendable {
    /// A TTL of 0 would have each call ask anew.
    var minTTL: Instant.Span = .seconds(1)
    var maxTTL: Instant.Span = .seconds(86_400)
    /// RFC 2308 §5.
    var maxNegativeTTL: Instant.Span = .seconds(300)
    /// No answer is an answer too, so that not every call waits for a server that is dead (RFC 2308 §7.2).
    var failureTTL: Instant.Span = .seconds(5)
    /// RFC 8767 §5: for so long behind its TTL an answer is better than none …
    var stale: Instant.Span = .seconds(3600)
    /// … and for so long nobody asks again.
    var staleTTL: Instant.Span = .seconds(30)
  }

  private struct Entry {
    var question: DNSQuestion
    var answer: DNSAnswer
    var expires: Instant
    var staleUntil: Instant
    var isUsed: Bool
  }

  private var entries: [Entry] = []
  private var slots: [DNSQuestion: Int] = [:]
  private var hand = 0
  let limits: Limits
  private(set) var capacity: Int

  init(capacity: Int, limits: Limits = Limits()) {
    self.capacity = max(1, capacity)
    self.limits = limits
  }

  var count: Int { entries.count }

  mutating func fresh(_ question: DNSQuestion, now: Instant) -> DNSAnswer? {
    guard let slot = slots[question], entries[slot].expires > now else { return nil }
    entries[slot].isUsed = true
    return entries[slot].answer
  }

  /// Keeps an answer. One that failed does not displace an older one that did not.
  /// - Returns: what is to be believed now.
  mutating func store(_ question: DNSQuestion, _ answer: DNSAnswer, now: Instant) -> DNSAnswer {
    guard answer.isFailure else {
      let seconds = Instant.Span.seconds(Int64(answer.ttl))
      let longest = answer.content == .nothing ? limits.maxNegativeTTL : limits.maxTTL
      let expires = now + min(max(seconds, limits.minTTL), longest)
      put(
        Entry(question: question, answer: answer, expires: expires, staleUntil: expires + limits.stale, isUsed: false))
      return answer
    }
    if let slot = slots[question], !entries[slot].answer.isFailure, entries[slot].staleUntil > now {
      entries[slot].expires = max(entries[slot].expires, now + limits.staleTTL)
      return entries[slot].answer
    }
    let expires = now + limits.failureTTL
    put(Entry(question: question, answer: answer, expires: expires, staleUntil: expires, isUsed: false))
    return answer
  }

  private mutating func put(_ entry: Entry) {
    if let slot = slots[entry.question] {
      entries[slot] = entry
    } else if entries.count < capacity {
      slots[entry.question] = entries.count
      entries.append(entry)
    } else {
      while entries[hand].isUsed {
        entries[hand].isUsed = false
        hand = (hand + 1) % entries.count
      }
      slots[entries[hand].question] = nil
      entries[hand] = entry
      slots[entry.question] = hand
      hand = (hand + 1) % entries.count
    }
  }

  /// Another size; what is kept is forgotten where it is smaller.
  mutating func resize(_ capacity: Int) {
    self.capacity = max(1, capacity)
    if entries.count > self.capacity { removeAll() }
  }

  mutating func removeAll() {
    entries = []
    slots = [:]
    hand = 0
  }
}
