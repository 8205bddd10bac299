import NetCore
import SIPMessage
import Testing

@testable import SIPTransaction

@Suite("What the table is built from")
struct StructureTests {
  @Test("a hash index against a dictionary: random insert, remove, look up", arguments: 0..<10)
  func hashIndex(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var index = HashIndex()
    var model: [TransactionKey: UInt32] = [:]
    for step in 0..<5_000 {
      // Few homes, so that clusters form, wrap round and are repaired.
      let key = TransactionKey(a: (random.next() % 8) &* 13 &+ 58, b: random.next() % 40)
      if random.next() % 2 == 0, model[key] == nil {
        index.insert(key, slot: UInt32(step))
        model[key] = UInt32(step)
      } else {
        index.remove(key)
        model[key] = nil
      }
      #expect(index.count == model.count)
      #expect(index[key] == model[key])
    }
    for (key, slot) in model { #expect(index[key] == slot) }
  }

  @Test("a slab uses slots again under new generations, within its limit")
  func slab() {
    var slab = Slab<Int>(limit: 300)
    var slots: [UInt32] = []
    for i in 0..<300 { slots.append(slab.insert(i)!) }
    #expect(Set(slots).count == 300 && slab.insert(0) == nil && slab.count == 300)
    #expect(slots.allSatisfy { slab.contains($0, generation: 1) && slab[$0] == Int($0) })
    slab[7] += 1
    #expect(slab[7] == 8)
    slab.remove(7)
    #expect(!slab.contains(7, generation: 1) && !slab.isOccupied(7) && slab.count == 299)
    let again = slab.insert(9)
    #expect(again == 7 && slab.generation(of: 7) == 2 && !slab.contains(7, generation: 1))
    #expect(!slab.contains(0xff_ffff, generation: 0) && !slab.isOccupied(5_000))
  }

  @Test("a flow index lists exactly the slots of one peer")
  func flowIndex() {
    var random = SplitMix64(seed: 3)
    var index = FlowIndex()
    var model: [UInt32: Endpoint] = [:]
    for _ in 0..<2_000 {
      let slot = UInt32(random.next() % 50)
      if let remote = model.removeValue(forKey: slot) {
        index.remove(slot, remote: remote)
      } else {
        let remote = Endpoint(IPAddress(v4: 1), UInt16(random.next() % 5))
        index.insert(slot, remote: remote)
        model[slot] = remote
      }
    }
    for port: UInt16 in 0..<5 {
      let remote = Endpoint(IPAddress(v4: 1), port)
      #expect(Set(index.slots(remote: remote)) == Set(model.filter { $0.value == remote }.keys))
    }
    for (slot, remote) in model { index.remove(slot, remote: remote) }
    #expect(index.isEmpty)
  }

  @Test("a keyed hash depends on the key, on every byte, and on where one piece ends")
  func keyedHash() {
    func hash(_ pieces: [String], key: (UInt64, UInt64) = (1, 2)) -> TransactionKey {
      var hasher = KeyedHasher(key: key)
      for piece in pieces { hasher.combine(Array(piece.utf8)[...]) }
      return hasher.finalize()
    }
    #expect(hash(["abc", "def"]) == hash(["abc", "def"]))
    #expect(hash(["abc", "def"]) != hash(["abcd", "ef"]))
    #expect(hash(["abc"]) != hash(["abc"], key: (1, 3)))
    var seen: Set<UInt64> = []
    for i in 0..<5_000 {
      let key = hash(["z9hG4bK\(i)"])
      seen.insert(key.a)
      seen.insert(key.b)
    }
    #expect(seen.count == 10_000)
    var folded = KeyedHasher(key: (1, 2))
    folded.combineFoldingCase(Array("HOST@[Z".utf8)[...])
    #expect(folded.finalize() == hash(["host@[z"]))
  }

  @Test("a mint repeats itself for the same seed only, and no number comes twice")
  func mint() {
    var a = TokenMint(key: (1, 2))
    var b = TokenMint(key: (1, 2))
    var c = TokenMint(key: (1, 3))
    let first = (0..<100).map { _ in a.next() }
    #expect(first == (0..<100).map { _ in b.next() } && first != (0..<100).map { _ in c.next() })
    #expect(Set(first).count == 100)
  }
}
