import LuaRuntime
import NetCore
import SIPMessage
import SIPTransaction

// INFO within a call (RFC 6086): passed to the other leg where that takes it; digits in it are heard on the way.
extension CallShard {
  func info(_ id: ServerTransactionID, _ message: Message, _ leg: Leg) {
    if refusesInfo(id, message, leg) { return }
    if let (digit, durationMs) = InfoDigit.read(message) { self.digit(leg, digit, durationMs: durationMs) }
    pass(id, message, leg)
  }

  /// The packages that a message says it takes (Recv-Info); nil where it says nothing.
  func recvInfo(of message: Message) -> [UInt8]? {
    guard message.has(.other), message.unnamed("Recv-Info") != nil else { return nil }
    return Array(message.all(named: "Recv-Info").joined(separator: Array(", ".utf8)).filter { $0 > 0x1f })
  }

  /// Recv-Info of the leg that a leg talks with: what one takes the other is told, as INFO passes.
  func passRecvInfo(_ writer: inout MessageWriter, to leg: Leg) {
    if let list = counterpart(leg)?.recvInfo { writer.header(name: Array("Recv-Info".utf8)[...], value: list[...]) }
  }

  /// RFC 6086 §4.2.2: an INFO of a package that nobody here has asked for: 469 with what would be taken.
  /// - Returns: whether it was answered.
  private func refusesInfo(_ id: ServerTransactionID, _ message: Message, _ leg: Leg) -> Bool {
    guard let package = message.unnamed("Info-Package") else { return false }
    let taken = counterpart(leg)?.recvInfo ?? []
    let name = CallShard.token(package)
    if !name.isEmpty, taken.split(separator: UInt8(ascii: ",")).contains(where: { CallShard.token($0) == name }) {
      return false
    }
    reply(id, message, 469) { $0.header(name: Array("Recv-Info".utf8)[...], value: taken[...]) }
    return true
  }

  /// A package's name without its parameters, in lower case.
  private static func token(_ value: Bytes) -> [UInt8] {
    value.prefix { $0 != UInt8(ascii: ";") }.trimmedBlanks.map(\.asciiLower)
  }

  /// A digit that a phone has sent, by INFO or by RFC 4733: functions of `call:on_dtmf` run.
  func digit(_ leg: Leg, _ digit: Character, durationMs: Int) {
    let call = leg.call
    guard call.wantsDigits, call.hangup == nil, call.tasks.count < call.script.settings.limits.tasksPerCall else {
      return
    }
    start(
      newTask(call.script, call, .spawned), entry: "digit",
      [
        .integer(call.handle), .text(String(digit)),
        .record([
          "side": .text(leg.role == .caller ? "caller" : "callee"), "duration": .number(Double(durationMs) / 1000),
        ]),
      ])
  }
}

/// Digits as phones write them into INFO: no RFC has it, all phones do it the same way.
enum InfoDigit {
  /// The digit of `application/dtmf-relay` (`Signal=5`, `Duration=160`) or of `application/dtmf` (`5`).
  static func read(_ message: Message) -> (digit: Character, durationMs: Int)? {
    guard let type = message.contentType, message.body.count <= 256 else { return nil }
    let name = type.prefix { $0 != UInt8(ascii: ";") }.trimmedBlanks.map(\.asciiLower)
    if name.elementsEqual("application/dtmf".utf8) {
      return digit(message.body.trimmedBlanks).map { ($0, 160) }
    }
    guard name.elementsEqual("application/dtmf-relay".utf8) else { return nil }
    var found: Character?
    var duration = 160
    for line in message.body.split(whereSeparator: { $0 == 0x0d || $0 == 0x0a }) {
      guard let equals = line.firstIndex(of: UInt8(ascii: "=")) else { continue }
      let key = line[..<equals].trimmedBlanks.map(\.asciiLower)
      let value = line[(equals + 1)...].trimmedBlanks
      if key.elementsEqual("signal".utf8) { found = digit(value) }
      if key.elementsEqual("duration".utf8), let ms = Int(String(decoding: value.prefix(6), as: UTF8.self)) {
        duration = min(max(ms, 0), 10_000)
      }
    }
    return found.map { ($0, duration) }
  }

  /// One of `0`–`9`, `*`, `#`, `A`–`D`, or its number as an RFC 4733 event, `10` to `15`.
  private static func digit(_ text: Bytes) -> Character? {
    if text.count == 2, text.first == UInt8(ascii: "1"), let last = text.last, (0x30...0x35).contains(last) {
      return named(10 + last - 0x30)
    }
    guard text.count == 1, let c = text.first else { return nil }
    switch c {
    case 0x30...0x39, UInt8(ascii: "*"), UInt8(ascii: "#"), UInt8(ascii: "A")...UInt8(ascii: "D"):
      return Character(Unicode.Scalar(c))
    case UInt8(ascii: "a")...UInt8(ascii: "d"): return Character(Unicode.Scalar(c & 0xdf))
    default: return nil
    }
  }

  /// The digit of an RFC 4733 event; nil for what is no digit, such as a flash.
  static func named(_ event: UInt8) -> Character? {
    switch event {
    case 0...9: Character(Unicode.Scalar(0x30 + event))
    case 10: "*"
    case 11: "#"
    case 12...15: Character(Unicode.Scalar(UInt8(ascii: "A") + event - 12))
    default: nil
    }
  }
}
