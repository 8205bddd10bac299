internal import NIOCore
internal import NetCore

/// Counts inbound connections, in all and by address, on the one loop that accepts; shared by its listeners.
final class AcceptLedger {
  private var total = 0
  private var byAddress: [IPAddress: Int] = [:]
  private let options: StreamOptions

  init(_ options: StreamOptions) { self.options = options }

  func admit(_ address: IPAddress) -> Bool {
    guard total < options.maxConnections else { return false }
    let held = byAddress[address, default: 0]
    guard held < options.maxConnectionsPerAddress else { return false }
    byAddress[address] = held + 1
    total += 1
    return true
  }

  func leave(_ address: IPAddress) {
    guard let held = byAddress[address] else { return }
    byAddress[address] = held > 1 ? held - 1 : nil
    total -= 1
  }
}

/// In a listening channel's pipeline, before NIO's own accept handler: closes what is over a limit at once, without a
/// byte read or a loop chosen.
final class AcceptGate: ChannelInboundHandler {
  typealias InboundIn = any Channel
  typealias InboundOut = any Channel

  private let ledger: AcceptLedger
  private let counters: ShardCounters
  private let bans: SourceBans

  init(_ ledger: AcceptLedger, _ counters: ShardCounters, _ bans: SourceBans) {
    self.ledger = ledger
    self.counters = counters
    self.bans = bans
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let child = Self.unwrapInboundIn(data)
    guard let address = child.remoteAddress.flatMap(Endpoint.init)?.ip, !bans.holds(address, now: .now),
      ledger.admit(address)
    else {
      counters.connectionsRefused.bump()
      child.close(promise: nil)
      return
    }
    let ledger = NIOLoopBound(self.ledger, eventLoop: context.eventLoop)
    child.closeFuture.hop(to: context.eventLoop).whenComplete { _ in ledger.value.leave(address) }
    context.fireChannelRead(data)
  }
}
