import CallEngine
import NetCore
import SIPMessage
import Testing

@Suite("The table of bindings")
struct RegistrarTableTests {
  private func user(_ name: String) -> [UInt8] { Array(name.utf8) }

  private func binding(
    _ contact: String, expires: Int64 = 2000, q: Int? = nil, connection: UInt64 = 0
  ) -> Binding {
    Binding(
      contact: Array(contact.utf8)[...], q: q, expires: expires, callID: [1], cseq: 1,
      flow: RegistrarTests.flow(connection: connection))
  }

  @Test("RFC 3261 §16.6: looked up by q, then the one refreshed last; what has ended is not found")
  func lookup() {
    let table = BindingTable()
    table.load([
      (user("u"), binding("sip:a@h", q: 500)), (user("u"), binding("sip:b@h", expires: 1500)),
      (user("u"), binding("sip:c@h", expires: 1600)), (user("u"), binding("sip:d@h", expires: 1000)),
      (user("v"), binding("sip:e@h")), (user("w"), binding("no uri")),
    ])
    let found = table.lookup(user: user("u"), nowSeconds: 1000).map { String(decoding: $0.contact, as: UTF8.self) }
    #expect(found == ["sip:c@h", "sip:b@h", "sip:a@h"])
    #expect(table.counts == (2, 5) && table.snapshot().count == 5)
    #expect(table.lookup(user: user("x"), nowSeconds: 0).isEmpty)
  }

  @Test("a load replaces the same contact and forgets connections of another process")
  func load() {
    let table = BindingTable(stripes: 1)
    table.load([
      (user("u"), binding("sip:a@h", connection: 5)), (user("u"), binding("sip:a@h", expires: 3000, connection: 6)),
    ])
    #expect(table.counts == (1, 1))
    #expect(table.lookup(user: user("u"), nowSeconds: 0).first?.flow.connection == 0)
    #expect(table.remove(connection: 6).isEmpty)
  }

  @Test("expiry removes what has ended, and says so once")
  func expire() {
    let table = BindingTable(stripes: 3)
    for i in 0..<50 { table.load([(user("u\(i)"), binding("sip:a@h", expires: 1000 + Int64(i)))]) }
    table.load([(user("u0"), binding("sip:b@h", expires: 5000))])
    #expect(table.expire(nowSeconds: 999).isEmpty)
    #expect(table.expire(nowSeconds: 1009).count == 10 && table.counts == (41, 41))
    #expect(table.expire(nowSeconds: 1009).isEmpty)
    #expect(table.expire(nowSeconds: 1049).count == 40 && table.counts == (1, 1))
    #expect(table.expire(nowSeconds: 5000) == [.remove(user: user("u0"), contact: Array("sip:b@h".utf8))])
    #expect(table.counts == (0, 0))
  }

  @Test("RFC 5626 §5.3: a connection that is gone takes its bindings with it, and only those")
  func connections() throws {
    let table = BindingTable(stripes: 2)
    let registrar = Registrar(table: table)
    for (name, connection, port) in [("u", 7, 1), ("u", 8, 2), ("v", 7, 3)] as [(String, UInt64, Int)] {
      let message = try RegistrarTests.message(
        "Contact: <sip:a@h:\(port)>\r\n", callID: "\(port)", flow: RegistrarTests.flow(connection: connection))
      _ = registrar.process(message, user: name, nowSeconds: 1000, settings: .init())
    }
    // The second contact of u moves to connection 9 before 8 ends.
    let moved = try RegistrarTests.message(
      "Contact: <sip:a@h:2>\r\n", callID: "2", cseq: 2, flow: RegistrarTests.flow(connection: 9))
    _ = registrar.process(moved, user: "u", nowSeconds: 1000, settings: .init())
    #expect(table.remove(connection: 8).isEmpty)
    #expect(table.remove(connection: 7).count == 2 && table.counts == (1, 1))
    #expect(table.remove(connection: 7).isEmpty && table.remove(connection: 0).isEmpty)
    #expect(table.remove(user: user("u")) == [.remove(user: user("u"), contact: Array("sip:a@h:2".utf8))])
  }

  @Test("many threads register, look up and expire at once")
  func concurrent() async throws {
    let table = BindingTable(stripes: 4)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for t in 0..<8 {
        group.addTask {
          for i in 0..<100 {
            let message = try RegistrarTests.message("Contact: <sip:t\(t)@h>\r\n", callID: "t\(t)", cseq: i + 1)
            _ = Registrar(table: table).process(message, user: "u\(i % 3)", nowSeconds: 1000, settings: .init())
            _ = table.lookup(user: Array("u\(i % 3)".utf8), nowSeconds: 1000)
            _ = table.expire(nowSeconds: 900)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(table.counts == (3, 24))
  }

  @Test("changes played into another table make the same table")
  func journal() throws {
    let table = BindingTable(stripes: 2)
    var kept: [[UInt8]: [[UInt8]: Binding]] = [:]
    let steps = [
      "Contact: <sip:a@h>, <sip:b@h>;q=0.5\r\n", "Contact: <sip:A@h>;expires=90\r\n",
      "Contact: <sip:b@H>;expires=0\r\n",
      "Contact: <sip:c@h>\r\n", "",
    ]
    for (i, headers) in steps.enumerated() {
      let outcome = Registrar(table: table).process(
        try RegistrarTests.message(headers, cseq: i + 1), user: "u", nowSeconds: 1000, settings: .init())
      guard case .ok(_, let changes) = outcome else {
        Issue.record("refused")
        return
      }
      for change in changes {
        switch change {
        case .upsert(let user, let binding): kept[user, default: [:]][Array(binding.contact)] = binding
        case .remove(let user, let contact): kept[user]?.removeValue(forKey: contact)
        }
      }
    }
    let other = BindingTable()
    other.load(kept.flatMap { user, list in list.values.map { (user: user, binding: $0) } })
    #expect(Set(other.snapshot().map(\.binding)) == Set(table.snapshot().map(\.binding)))
  }
}
