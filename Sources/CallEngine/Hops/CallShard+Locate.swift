import Logging
import NetCore
import NextHop

// A target whose host is a name: looked up, then rung.
extension CallShard {
  /// The time that the target, or the whole dial, may take holds while DNS is asked too.
  func locate(
    _ leaf: DialTree.Leaf, _ target: DialTarget, uri: [UInt8], _ query: HopQuery, _ call: Call, _ dial: Dial
  ) {
    let started = now
    let limit = min(target.timeout ?? CallShard.resolveLimit, CallShard.resolveLimit)
    resolve(query, within: limit) { [unowned self, weak call, weak dial] result in
      // Hung up, or rung out meanwhile: the answer is of no use.
      guard let call, let dial, call.dial === dial, dial.stage == .ringing, dial.tree.isRinging(leaf) else { return }
      var target = target
      let waited = now - started
      if let timeout = target.timeout {
        guard waited < timeout else {
          return fail(leaf, target, call, dial, status: 480, .noAnswer, .timeout)
        }
        target.timeout = timeout - waited
      }
      switch result {
      case .success(var flows):
        if case .trunk(let name, _) = target.place, let trunk = directory.trunk(named: name) {
          flows = flows.map { $0.proving(trunk.peer) }
        }
        ring(leaf, target, Route(uri: uri, flow: flows[0], others: Array(flows.dropFirst())), call, dial)
      case .failure(let why):
        services.logger.notice(
          "no next hop",
          metadata: ["call": "\(call.id)", "target": "\(text(target.name))", "why": "\(why)"])
        // Whatever DNS says is about our way there, not about the number: as with a host that does not answer.
        fail(leaf, target, call, dial, status: 503, .networkOutOfOrder)
      }
    }
  }

  private func text(_ octets: [UInt8]) -> String { String(decoding: octets.prefix(256), as: UTF8.self) }
}
