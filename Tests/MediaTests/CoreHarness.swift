import CNet
import NetCore

@testable import Media

/// A core with memory of its own on a clock that only the test moves.
final class CoreHarness {
  var core: MediaCore
  var now = Instant(nanoseconds: 1_000_000_000_000)
  private let memory: UnsafeMutablePointer<StreamState>
  private let buffer = UnsafeMutableRawPointer.allocate(byteCount: 2048, alignment: 16)
  private var generation: UInt32 = 0

  struct Sent {
    var slot: Int
    var at: Instant
    var bytes: [UInt8]
    var isControl = false
    var packet: Packet { Packet(bytes) }
  }

  init(capacity: Int = 16, seed: UInt64 = 7) {
    memory = .allocate(capacity: capacity)
    memory.initialize(
      repeating: StreamState(sent: SendStream(ssrc: 0, sequence: 0, timestamp: 0)), count: capacity)
    core = MediaCore(slots: memory, capacity: capacity, seed: seed, wallOffset: 1_700_000_000_000_000_000)
  }

  deinit {
    memory.deallocate()
    buffer.deallocate()
  }

  static let address = IPAddress(v4: 0x7f00_0001)
  static let codecs = MediaCodecs(pcmu: 0, pcma: 8, telephoneEvent: 101, comfortNoise: 13)

  static func phone(_ port: UInt16, host: UInt32 = 0x7f00_0001) -> Endpoint { Endpoint(IPAddress(v4: host), port) }

  /// Leases a slot and tells it where its phone is.
  func leg(
    _ slot: UInt32, phone: Endpoint?, codecs: MediaCodecs = CoreHarness.codecs, sending: Bool = true,
    receiving: Bool = true, latch: Bool = true
  ) -> MediaEndpointID {
    generation += 1
    core.open(slot: slot, generation: generation, owner: 3, now: now)
    let id = MediaEndpointID(worker: 0, slot: slot, generation: generation)
    apply(.remote(id, rtp: phone, rtcp: nil, codecs: codecs, sending: sending, receiving: receiving, latch: latch))
    return id
  }

  func apply(_ command: MediaCommand) { core.apply(command, now: now) }

  func advance(_ milliseconds: Int64) { now = now + .milliseconds(milliseconds) }

  /// Receives a datagram; the answer is where and what the core sends on.
  @discardableResult
  func receive(_ slot: Int, _ bytes: [UInt8], from: Endpoint) -> Sent? {
    bytes.withUnsafeBytes { buffer.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(buffer), byteCount: $0.count) }
    let target = core.receive(slot, buffer, bytes.count, from: SocketAddress(from), now: now)
    guard target >= 0 else { return nil }
    return Sent(slot: target, at: now, bytes: Array(UnsafeRawBufferPointer(start: buffer, count: bytes.count)))
  }

  @discardableResult
  func receive(_ slot: Int, _ packet: Packet, from: Endpoint) -> Sent? { receive(slot, packet.bytes, from: from) }

  func receiveControl(_ slot: Int, _ bytes: [UInt8], from: Endpoint) {
    bytes.withUnsafeBytes { buffer.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(buffer), byteCount: $0.count) }
    core.receiveControl(slot, buffer, bytes.count, from: SocketAddress(from), now: now)
  }

  /// What is due at this moment: RTP, or else RTCP.
  func poll(control: Bool = false) -> [Sent] {
    var sent: [Sent] = []
    while let made = core.poll(now: now, into: buffer) {
      sent.append(
        Sent(
          slot: made.slot, at: now, bytes: Array(UnsafeRawBufferPointer(start: buffer, count: made.count)),
          isControl: made.isControl))
    }
    return sent.filter { $0.isControl == control }
  }

  /// Lets time pass, from deadline to deadline.
  func run(_ milliseconds: Int64) -> [Sent] {
    let end = now + .milliseconds(milliseconds)
    var sent: [Sent] = []
    while core.deadline < end {
      now = max(now, core.deadline)
      sent += poll()
    }
    now = end
    return sent
  }

  /// The events since the last look.
  func events() -> [MediaEvent] {
    defer { core.events.removeAll() }
    return core.events.map(\.event)
  }

  func statistics(_ id: MediaEndpointID) -> MediaStatistics? {
    apply(.statistics(id, token: 1))
    var found: MediaStatistics?
    core.events.removeAll { entry in
      guard case .statistics(let of, _, let statistics) = entry.event, of == id else { return false }
      found = statistics
      return true
    }
    return found
  }
}

/// An RTP packet as a test writes and reads it.
struct Packet: Equatable {
  var type: UInt8 = 0
  var marker = false
  var sequence: UInt16 = 0
  var timestamp: UInt32 = 0
  var ssrc: UInt32 = 0
  var payload: [UInt8] = Packet.loud

  /// 20 ms of something that is not silence, and of silence, in µ-law.
  static let loud = (0..<160).map { G711.encodeMu(Int16(8000 * ($0 % 8 < 4 ? 1 : -1))) }
  static let quiet = [UInt8](repeating: 0xff, count: 160)

  init(
    type: UInt8 = 0, marker: Bool = false, sequence: UInt16 = 0, timestamp: UInt32 = 0, ssrc: UInt32 = 0x1111_1111,
    payload: [UInt8] = Packet.loud
  ) {
    self.type = type
    self.marker = marker
    self.sequence = sequence
    self.timestamp = timestamp
    self.ssrc = ssrc
    self.payload = payload
  }

  /// The n-th packet of a phone that talks.
  static func talk(_ n: Int, ssrc: UInt32 = 0x1111_1111, type: UInt8 = 0, payload: [UInt8] = Packet.loud) -> Packet {
    Packet(
      type: type, sequence: UInt16(truncatingIfNeeded: 65_530 + n), timestamp: UInt32(truncatingIfNeeded: 160 * n),
      ssrc: ssrc, payload: payload)
  }

  /// RFC 4733 §2.3.
  static func event(
    _ code: UInt8, sequence: UInt16, timestamp: UInt32, duration: UInt16, end: Bool = false, type: UInt8 = 101,
    ssrc: UInt32 = 0x1111_1111
  ) -> Packet {
    Packet(
      type: type, sequence: sequence, timestamp: timestamp, ssrc: ssrc,
      payload: [code, (end ? 0x80 : 0) | 10, UInt8(duration >> 8), UInt8(duration & 0xff)])
  }

  init(_ bytes: [UInt8]) {
    type = bytes[1] & 0x7f
    marker = bytes[1] & 0x80 != 0
    sequence = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
    timestamp = bytes[4..<8].reduce(0) { $0 << 8 | UInt32($1) }
    ssrc = bytes[8..<12].reduce(0) { $0 << 8 | UInt32($1) }
    payload = Array(bytes[12...])
  }

  var bytes: [UInt8] {
    var bytes: [UInt8] = [0x80, type | (marker ? 0x80 : 0), UInt8(sequence >> 8), UInt8(sequence & 0xff)]
    for word in [timestamp, ssrc] {
      for shift in stride(from: 24, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }
    return bytes + payload
  }
}
