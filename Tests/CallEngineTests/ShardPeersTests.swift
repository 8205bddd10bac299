import CallEngine
import Synchronization
import Testing

struct ShardPeersTests {
  /// Where the stack is, as an address.
  @inline(never) private static func depth() -> Int {
    var here = 0
    return unsafe withUnsafePointer(to: &here) { Int(bitPattern: $0) }
  }

  @Test("A post is as deep on the stack after many as it was at first")
  func constantDepth() {
    let peers = ShardPeers(count: 1)
    #expect(!peers.post(.hangUpAll, to: 0), "nothing is connected")
    let depths = Depths()
    peers.connect { input, shard in
      guard case .hangUpAll = input, shard == 0 else { return false }
      depths.add(Self.depth())
      return true
    }
    for _ in 0..<2000 { #expect(peers.post(.hangUpAll, to: 0)) }
    #expect(abs(depths.first - depths.last) < 4096)
  }

  private final class Depths: Sendable {
    private let all = Mutex<[Int]>([])
    func add(_ depth: Int) { all.withLock { $0.append(depth) } }
    var first: Int { all.withLock { $0.first ?? 0 } }
    var last: Int { all.withLock { $0.last ?? .max } }
  }
}
