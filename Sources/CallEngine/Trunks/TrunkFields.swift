import LuaRuntime
import NetCore

/// A trunk as scripts see it: `trunks.get(name)`, `trunks.list()`.
enum TrunkFields {
  static func write(_ trunk: Trunk, _ state: TrunkStatus.State, nowMilliseconds now: Int64, into writer: LuaWriter) {
    let table = writer.openTable()
    var fields = 6
    writer.field(.name, text: trunk.name)
    writer.field(.host, text: trunk.host)
    writer.field(.transport, text: trunk.transport.parameterName)
    writer.field(.up, state.isUp)
    writer.field(.calls, state.calls)
    writer.field(.registered, state.isRegistered(atMilliseconds: now))
    if let roundTrip = state.roundTrip {
      writer.field(.rtt, roundTrip.seconds)
      fields += 1
    }
    if trunk.plan.maxCalls > 0 {
      writer.field(.max_calls, trunk.plan.maxCalls)
      fields += 1
    }
    if let until = state.registeredUntil, until > now {
      writer.field(.expires, Double(until - now) / 1000)
      fields += 1
    }
    if let problem = state.problem {
      writer.field(.problem, text: problem)
      fields += 1
    }
    writer.closeTable(table, entries: fields)
  }
}

extension CallShard {
  /// Nil for a name that the configuration does not have.
  func writeTrunk(_ name: String, into reply: LuaWriter) {
    guard let trunk = directory.trunk(named: name) else { return reply.null() }
    TrunkFields.write(
      trunk, services.trunks.status(of: name).current, nowMilliseconds: services.wallClock(), into: reply)
  }

  /// All, in the configuration's order.
  func writeTrunks(into reply: LuaWriter) {
    reply.list(directory.trunks.count)
    for trunk in directory.trunks { writeTrunk(trunk.name, into: reply) }
  }
}
