import NetCore
import SIPDialog
import SIPMessage
import Testing

@Suite("RFC 3262: reliable provisional responses, the machines")
struct ReliableMachineTests {
  private let t1 = Instant.Span.milliseconds(500)

  @Test("§3: the first RSeq is 1 to 2^31 - 1, the next is one more")
  func numbers() {
    for random: UInt64 in [0, 1, 0x7fff_fffd, 0x7fff_fffe, .max] {
      var sender = ReliableSender()
      let isFresh = !sender.isUsed
      #expect(isFresh)
      sender.begin(random: random)
      let first = sender.number
      #expect((1...0x7fff_ffff).contains(first))
      sender.begin(random: random &+ 7)
      let same = sender.number
      #expect(same == first)
      _ = sender.sent([1], hasSDP: false, now: .zero, t1: t1)
      #expect(!sender.acknowledged(first &+ 1) && sender.acknowledged(first) && !sender.acknowledged(first))
      let next = sender.number
      #expect(next == first + 1)
    }
  }

  @Test("§3: again after T1, 2·T1, 4·T1 … without a bound, and after 64·T1 given up")
  func backOff() {
    var sender = ReliableSender()
    sender.begin(random: 1)
    var at = Instant.zero + sender.sent([1], hasSDP: true, now: .zero, t1: t1)
    var times: [Double] = []
    while times.count < 20 {
      guard case .send(_, let again) = sender.again(now: at) else { break }
      times.append((at - .zero).seconds)
      at = at + again
    }
    #expect(times == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5] && at == .zero + .seconds(32))
    let isOver = !sender.isWaiting && !sender.holdsAnswer && !sender.acknowledged(sender.number)
    #expect(isOver)
  }

  @Test("§3: a final response ends the copies, a PRACK that comes after it is still right")
  func overtaken() {
    var sender = ReliableSender()
    sender.begin(random: 1)
    _ = sender.sent([1], hasSDP: false, now: .zero, t1: t1)
    let isFree = sender.isWaiting && !sender.holdsAnswer
    #expect(isFree)
    sender.stop()
    guard case .nothing = sender.again(now: .zero + t1) else {
      Issue.record("sent again")
      return
    }
    let number = sender.number
    #expect(sender.acknowledged(number) && !sender.acknowledged(number))
  }

  @Test("§4: the first one sets the order; copies and gaps are not acknowledged")
  func order() {
    var receiver = ReliableReceiver()
    #expect(receiver.receive(17) == .acknowledge)
    #expect(receiver.receive(17) == .copy && receiver.receive(3) == .copy)
    #expect(receiver.receive(19) == .gap)
    #expect(receiver.receive(18) == .acknowledge && receiver.receive(19) == .acknowledge)
    var last = ReliableReceiver()
    #expect(last.receive(.max) == .acknowledge && last.receive(0) == .copy)
  }

  @Test(
    "§7.2: RAck",
    arguments: [
      ("776656 1 INVITE", RAck(rseq: 776_656, cseq: 1, method: .invite)),
      ("1\t2  INVITE", RAck(rseq: 1, cseq: 2, method: .invite)),
      ("1 2", nil), ("x 1 INVITE", nil), ("99999999999 1 INVITE", nil), ("4294967296 1 INVITE", nil), ("", nil),
      ("1 2 invite", RAck(rseq: 1, cseq: 2, method: .unknown)),
    ] as [(String, RAck?)])
  func rack(text: String, value: RAck?) { #expect(RAck(Array(text.utf8)[...]) == value) }
}
