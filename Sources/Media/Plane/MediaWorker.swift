import CNet
import Glibc
import NetCore
import Synchronization

/// One relay thread: it waits for sockets, feeds the core and sends what comes of it. It alone touches its core's state.
final class MediaWorker: @unchecked Sendable {
  typealias Deliver = @Sendable (UInt32, [MediaEvent]) -> Void

  let index: Int
  let ring: CommandRing
  let epoll: Int32
  let ports: SlotMemory<PortSlot>
  private let streams: SlotMemory<StreamState>
  private let capacity: Int
  private let gatheringLimit: Instant.Span
  private let deliver: Deliver

  /// Since the start, for the metrics: relayed, generated, and received for nobody.
  let relayed = Atomic<UInt64>(0)
  let generated = Atomic<UInt64>(0)
  let strays = Atomic<UInt64>(0)

  private static let wakeMark = UInt64.max
  private static let batch = 256
  private static let packetCapacity = 2048
  /// Packets of our own between two looks at the sockets.
  private static let generatedBatch = 64
  /// For so long after the last packet or command the worker looks for commands by itself, and so often.
  private static let attention = Instant.Span.milliseconds(200)
  private static let glance = Instant.Span.milliseconds(50)

  init(
    index: Int, capacity: Int, gathering: Instant.Span, deliver: @escaping Deliver
  ) throws(MediaError) {
    gatheringLimit = gathering
    self.index = index
    self.capacity = capacity
    self.deliver = deliver
    ring = try CommandRing()
    ports = try SlotMemory(capacity: capacity)
    streams = try SlotMemory(capacity: capacity)
    epoll = cnet_epoll()
    if epoll < 0 { throw MediaError("epoll_create1", error: -epoll) }
    var event = epoll_event(
      events: EPOLLIN.rawValue | EPOLLET.rawValue, data: epoll_data_t(u64: Self.wakeMark))
    epoll_ctl(epoll, EPOLL_CTL_ADD, ring.wakeDescriptor, &event)
  }

  deinit { close(epoll) }

  /// The thread's body; returns when the ring is stopped.
  func run(pool: PortPool, helper: MediaHelper) {
    var core = MediaCore(
      slots: streams.base, capacity: capacity, worker: UInt16(index), seed: .random(in: .min ... .max),
      wallOffset: MediaClock.wallOffset())
    let ready = UnsafeMutablePointer<epoll_event>.allocate(capacity: Self.batch)
    let packet = UnsafeMutableRawPointer.allocate(byteCount: Self.packetCapacity, alignment: 16)
    defer {
      ready.deallocate()
      packet.deallocate()
    }
    var inputs = WorkerInputs()
    var now = MediaClock.now()
    var lastInput = now
    var gathering = Gathering(limit: gatheringLimit, now: now)
    while !ring.stopped {
      let count = Int(cnet_epoll_wait(epoll, ready, Int32(Self.batch), sleep(core, lastInput: lastInput)))
      now = MediaClock.now()
      if count > 0 { lastInput = now }
      if ring.take(into: &inputs) {
        lastInput = now
        obey(&core, inputs, now: now)
        inputs.removeAll()
        settle(&core, pool: pool, helper: helper, now: now)
      }
      for i in 0..<max(count, 0) {
        let mark = ready[i].data.u64
        if mark == Self.wakeMark { continue }
        receive(&core, mark, packet, now: now)
        if i & 15 == 15 { now = MediaClock.now() }
      }
      gathering.handled(max(count, 0), now: now)
      if core.hasReports || now >= core.deadline {
        var quota = Self.generatedBatch
        while quota > 0, let made = core.poll(now: now, into: packet) {
          transmit(&core, made, packet)
          quota -= 1
        }
      }
      if !core.events.isEmpty || !core.reconnect.isEmpty {
        settle(&core, pool: pool, helper: helper, now: now)
      }
      relayed.store(core.relayed, ordering: .relaxed)
      generated.store(core.generatedPackets, ordering: .relaxed)
      strays.store(core.strays, ordering: .relaxed)
      // A full batch says that more are there already.
      if gathering.wait > .zero, count > 0, count < Self.batch { cnet_pause(gathering.wait.nanoseconds) }
    }
  }

  /// Nanoseconds that `epoll_wait` may take; negative is for ever.
  private func sleep(_ core: borrowing MediaCore, lastInput: Instant) -> Int64 {
    let now = MediaClock.now()
    let isAttentive = now - lastInput < Self.attention
    if !isAttentive, !ring.sleep() { return 0 }
    let until = isAttentive ? min(core.deadline, now + Self.glance) : core.deadline
    return until == .distantFuture ? -1 : max(0, (until - now).nanoseconds)
  }

  @inline(__always)
  private func receive(
    _ core: inout MediaCore, _ mark: UInt64, _ packet: UnsafeMutableRawPointer, now: Instant
  ) {
    let slot = Int(mark >> 1)
    let isControl = mark & 1 != 0
    var from = SocketAddress.none
    let descriptor = isControl ? ports.base[slot].control : ports.base[slot].rtp
    let count = cnet_receive(descriptor, packet, Self.packetCapacity, &from)
    // An error that ICMP left, nothing there after all, or a datagram that was cut off.
    guard count >= 0, count <= Self.packetCapacity else { return }
    if core.slots[slot].generation == 0 {
      ports.base[slot].strayAt.store(now.nanoseconds, ordering: .relaxed)
      core.strays &+= 1
    } else if isControl {
      core.receiveControl(slot, packet, count, from: from, now: now)
    } else {
      let target = core.receive(slot, packet, count, from: from, now: now)
      if target >= 0 { send(&core, target, packet, count) }
    }
  }

  @inline(__always)
  private func send(_ core: inout MediaCore, _ slot: Int, _ packet: UnsafeMutableRawPointer, _ count: Int) {
    let stream = core.slots + slot
    switch stream.pointee.connection {
    case .connected:
      cnet_send(ports.base[slot].rtp, packet, count)
      return
    case .wanted:
      var destination = stream.pointee.latch.destination
      if cnet_connect(ports.base[slot].rtp, &destination) == 0 {
        stream.pointee.connection = .connected
        cnet_send(ports.base[slot].rtp, packet, count)
        return
      }
      stream.pointee.connection = .refused
    case .none, .refused: break
    }
    var destination = stream.pointee.latch.destination
    cnet_send_to(ports.base[slot].rtp, packet, count, &destination)
  }

  private func transmit(_ core: inout MediaCore, _ made: MediaCore.Made, _ packet: UnsafeMutableRawPointer) {
    guard made.isControl else { return send(&core, made.slot, packet, made.count) }
    var destination = core.slots[made.slot].control.destination
    cnet_send_to(ports.base[made.slot].control, packet, made.count, &destination)
  }

  private func obey(_ core: inout MediaCore, _ inputs: borrowing WorkerInputs, now: Instant) {
    for lease in inputs.leases {
      core.open(slot: lease.slot, generation: lease.generation, owner: lease.owner, now: now)
    }
    // One that names an endpoint of another worker finds no slot here.
    let commands = inputs.commands.span
    for n in commands.indices { core.apply(commands[n], now: now) }
    for file in inputs.clips { core.loaded(file.key, file.clips, failure: file.failure, now: now) }
  }

  /// Everything that an input has left behind besides packets.
  private func settle(_ core: inout MediaCore, pool: PortPool, helper: MediaHelper, now: Instant) {
    for slot in core.reconnect { cnet_disconnect(ports.base[Int(slot)].rtp) }
    core.reconnect.removeAll(keepingCapacity: true)
    if !core.released.isEmpty {
      pool.rest(worker: index, core.released, now: now)
      core.released.removeAll(keepingCapacity: true)
    }
    for load in core.loads { helper.load(worker: index, key: load.key, paths: load.paths) }
    core.loads.removeAll()
    if !core.events.isEmpty { report(&core) }
  }

  private func report(_ core: inout MediaCore) {
    if core.hasPerishable {
      // Its owner may have released an endpoint while the event was on its way.
      core.events.removeAll { entry in
        let id = entry.event.endpoint
        return !entry.event.outlivesRelease
          && ports.base[Int(id.slot)].leased.load(ordering: .acquiring) != id.generation
      }
      core.hasPerishable = false
    }
    while let owner = core.events.first?.owner {
      let events = events(core, of: owner)
      if events.count == core.events.count {
        core.events.removeAll(keepingCapacity: true)
      } else {
        core.events.removeAll { $0.owner == owner }
      }
      deliver(owner, events)
    }
  }

  private func events(_ core: borrowing MediaCore, of owner: UInt32) -> [MediaEvent] {
    let all = core.events.span
    var events: [MediaEvent] = []
    events.reserveCapacity(all.count)
    for n in all.indices where all[n].owner == owner { events.append(all[n].event) }
    return events
  }
}
