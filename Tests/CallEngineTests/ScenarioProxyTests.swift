@testable import CallEngine
import NetCore
import SIPMessage
import TestSupport
import Testing

/// A proxy between the phones and us: Path towards a binding, Record-Route in a dialog, flows of which one is dead.
@Suite("Scenario: behind a proxy")
struct ScenarioProxyTests {
  private func lines(_ message: Message, _ name: HeaderName) -> [String] { message.values(name).map { text($0) } }

  /// A phone whose REGISTER has come through a proxy, as far as its headers say.
  private func throughProxy(_ world: World, _ user: String, _ headers: [String]) -> ScriptedPhone {
    let phone = world.phone(user)
    phone.extraHeaders = headers
    phone.register()
    world.run(2)
    phone.extraHeaders = []
    return phone
  }

  @Test("RFC 3327 §5.3: the 200 repeats the Path to a phone that knows it; RFC 3608 §6: and has the Service-Route")
  func answer() throws {
    let world = World { $0.registrar.serviceRoutes = [Array("<sip:edge.example;lr>".utf8)] }
    let phone = throughProxy(world, "1000", ["Path: <sip:tok@192.0.2.9;lr>", "Supported: path"])
    #expect(phone.registrationStatus == 200)
    let ok = try #require(phone.responses(to: .register).last)
    #expect(lines(ok, .path) == ["<sip:tok@192.0.2.9;lr>"])
    #expect(lines(ok, .serviceRoute) == ["<sip:edge.example;lr>"])
    let other = throughProxy(world, "1001", ["Path: <sip:tok@192.0.2.9;lr>"])
    #expect(try #require(other.responses(to: .register).last).values(.path).isEmpty)
    let plain = throughProxy(World(), "1001", [])
    #expect(try #require(plain.responses(to: .register).last).values(.serviceRoute).isEmpty)
  }

  @Test("RFC 3327 §5.3: strict, and no Supported: path is 420 with Unsupported; Require: path is met")
  func strict() throws {
    let world = World { $0.registrar.path = .strict }
    let phone = throughProxy(world, "1000", ["Path: <sip:tok@192.0.2.9;lr>"])
    #expect(phone.registrationStatus == 420)
    #expect(lines(try #require(phone.responses(to: .register).last), .unsupported) == ["path"])
    let able = throughProxy(world, "1001", ["Path: <sip:tok@192.0.2.9;lr>", "Require: path", "Supported: path"])
    #expect(able.registrationStatus == 200)
    let unable = throughProxy(world, "1002", ["Require: path, gruu"])
    #expect(unable.registrationStatus == 420)
    #expect(lines(try #require(unable.responses(to: .register).last), .unsupported) == ["gruu"])
  }

  @Test("RFC 5626 §6: who asks for outbound is told that it is done, and how often to be heard")
  func outbound() throws {
    let world = World()
    let phone = world.phone("1000")
    phone.extraHeaders = ["Supported: path, outbound"]
    phone.register()
    world.run(2)
    // No reg-id: nothing was done.
    #expect(try #require(phone.responses(to: .register).last).values(.require).isEmpty)
    let edge = RawPeer("203.0.113.9:5060", on: world.network)
    _ = edge
    phone.contactParameters = ";+sip.instance=\"<urn:uuid:1>\";reg-id=1"
    phone.register()
    world.run(2)
    let ok = try #require(phone.responses(to: .register).last)
    #expect(lines(ok, .require) == ["outbound"] && text(ok.first(named: "Flow-Timer")) == "29")
    #expect(phone.bindings.count == 1 && phone.bindings[0].contains("reg-id=1"))
  }

  @Test("RFC 3327 §5.3: a call goes through the Path, and so do its ACK and CANCEL", arguments: [486, 180])
  func path(status: Int) throws {
    let world = World()
    let alice = world.registered("1000")[0]
    let bob = throughProxy(
      world, "1001", ["Path: <sip:p2.example;lr>, <sip:t0ken@192.0.2.9;lr;ob>", "Supported: path"])
    bob.script = status == 180 ? .ringOnly : .reject(status)
    let call = alice.call("1001")
    world.run(1)
    if status == 180 { alice.hangUp(call) }
    world.run(1)
    let requests = world.sent(to: bob).filter(\.isRequest)
    #expect(requests.map(\.method) == (status == 180 ? [.invite, .cancel, .ack] : [.invite, .ack]))
    for request in requests {
      #expect(lines(request, .route) == ["<sip:p2.example;lr>", "<sip:t0ken@192.0.2.9;lr;ob>"])
      #expect(text(request.requestURI.bytes) == "sip:1001@\(bob.endpoint)")
    }
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 3327 §5.3: a proxy that has hung up is connected to again where its Path says, at its own host only")
  func reconnect() {
    let world = World()
    func hop(_ path: String, connection: UInt64 = 0, transport: Transport = .tcp) -> Endpoint {
      world.server.shards[0].route(
        to: Binding(
          contact: Array("sip:a@10.0.0.5".utf8)[...], expires: 4_000_000_000, callID: [1], cseq: 1,
          flow: Flow(
            transport: transport, listener: 0, connection: connection, remote: Endpoint("192.0.2.9:45678")!,
            local: ServerNode.address), path: [Array(path.utf8)])
      ).flow.remote
    }
    #expect(hop("<sip:t@192.0.2.9:5070;transport=tcp;lr>") == Endpoint("192.0.2.9:5070"))
    #expect(hop("<sip:192.0.2.9;lr>") == Endpoint("192.0.2.9:5060"))
    #expect(hop("<sip:198.18.0.1;lr>") == Endpoint("192.0.2.9:45678"))
    #expect(hop("<sip:192.0.2.9:5070;lr>", connection: 7) == Endpoint("192.0.2.9:45678"))
    #expect(hop("<sip:192.0.2.9:5070;lr>", transport: .udp) == Endpoint("192.0.2.9:45678"))
  }

  @Test("RFC 3261 §19.1.1: headers of a contact are in no Request-URI")
  func headersInContact() {
    let world = World()
    let binding = Binding(
      contact: Array("sip:a?b@10.0.0.5;x=y?Route=%3Csip:198.18.0.1%3E".utf8)[...], expires: 4_000_000_000, callID: [1],
      cseq: 1, flow: RegistrarTests.flow())
    #expect(text(world.server.shards[0].route(to: binding).uri) == "sip:a?b@10.0.0.5;x=y")
  }

  private static func bindings(_ flows: [(RawPeer, Int64)]) -> [(user: [UInt8], binding: Binding)] {
    flows.enumerated().map { index, flow in
      (
        Array("1001".utf8),
        Binding(
          contact: Array("sip:1001@10.0.0.5:\(7000 + index)".utf8)[...], expires: 4_000_000_000 + flow.1,
          callID: Array("c\(index)".utf8)[...], cseq: 1,
          flow: Flow(transport: .udp, listener: 0, remote: flow.0.endpoint, local: ServerNode.address),
          instanceID: Array("<urn:uuid:1>".utf8)[...], regID: UInt32(index + 1))
      )
    }
  }

  @Test("RFC 5626 §6: of one instance one flow rings, the latest; at 430 the next one, and the dead one is forgotten")
  func nextFlow() {
    let world = World()
    let alice = world.registered("1000")[0]
    let old = RawPeer("203.0.113.50:1111", on: world.network)
    let new = RawPeer("203.0.113.51:2222", on: world.network)
    world.server.services.bindings.load(ScenarioProxyTests.bindings([(old, 1), (new, 2)]))
    new.answer = { if $0.method == .invite { new.respond($0, 430) } }
    old.answer = { if $0.method == .invite { old.respond($0, 486) } }
    let call = alice.call("1001")
    world.run(3)
    #expect(new.received.map(\.method) == [.invite, .ack] && old.received.map(\.method) == [.invite, .ack])
    #expect(call.statuses.last == 486)
    #expect(world.record?.attempts.map(\.status) == [430, 486])
    #expect(
      world.server.services.bindings.lookup(user: Array("1001".utf8), nowSeconds: 0).map { text($0.contact) }
        == ["sip:1001@10.0.0.5:7000"])
    // What the phone answers by its best flow is its answer.
    new.answer = nil
    world.server.services.bindings.load(ScenarioProxyTests.bindings([(old, 1), (new, 2)]))
    new.answer = { if $0.method == .invite { new.respond($0, 603) } }
    let second = alice.call("1001")
    world.run(3)
    #expect(second.statuses.last == 603 && old.received.count == 2)
    world.expectNothingLeft(records: 2)
  }

  @Test("RFC 5626 §5.3: all flows are gone: to the caller the user is not there")
  func noFlow() {
    let world = World()
    let alice = world.registered("1000")[0]
    let only = RawPeer("203.0.113.50:1111", on: world.network)
    world.server.services.bindings.load(ScenarioProxyTests.bindings([(only, 1)]))
    only.answer = { if $0.method == .invite { only.respond($0, 430) } }
    let call = alice.call("1001")
    world.run(3)
    #expect(call.statuses.last == 480 && world.record?.cause.value == 20)
    #expect(world.server.services.bindings.lookup(user: Array("1001".utf8), nowSeconds: 0).isEmpty)
    world.expectNothingLeft(records: 1)
  }

  @Test(
    "RFC 3261 §12.1.1, §12.2.1.1: the caller's proxies are in every request of ours, loose or strict",
    arguments: [true, false])
  func recordRoute(isLoose: Bool) throws {
    let world = World(World.dialling("{ timeout = 20, ringback = '180' }"), open: ["203.0.113.70/32"])
    let bob = world.registered("1001")[0]
    let proxy = RawPeer("203.0.113.70:5060", on: world.network)
    let lr = isLoose ? ";lr" : ""
    proxy.answer = { message in
      if message.isRequest, message.method != .ack { proxy.respond(message, 200) }
    }
    proxy.request(
      "INVITE", branch: "z9hG4bKp",
      lines: [
        "Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKphone",
        "Record-Route: <sip:p1.example\(lr)>, <sip:p2.example\(lr)>",
        "Route: <sip:evil.example;lr>, <sip:nightjar.example;lr>",
      ], type: "application/sdp", body: text(PhoneSDP.audio(Endpoint("10.0.0.5:4000")!)))
    world.run(3)
    let ok = try #require(proxy.received.first { $0.status == 200 })
    // §12.1.1: in the response as they came.
    #expect(lines(ok, .recordRoute) == ["<sip:p1.example\(lr)>", "<sip:p2.example\(lr)>"])
    #expect(ok.values(.via).count == 2)
    // A preloaded Route is not followed, and nothing of it or of the proxies reaches the callee.
    #expect(bob.calls[0].message?.values(.route).isEmpty == true)
    #expect(bob.calls[0].message?.values(.recordRoute).isEmpty == true)
    #expect(world.network.trace.allSatisfy { $0.datagram.to != Endpoint("198.18.0.1:5060")! })
    proxy.request(
      "ACK", branch: "z9hG4bKack", toTag: text(ok.toTag), lines: ["Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKx"])
    world.run(1)
    bob.hangUp(bob.calls[0])
    world.run(2)
    let bye = try #require(proxy.received.first { $0.isRequest && $0.method == .bye })
    #expect(bye.flow.local == proxy.endpoint)
    if isLoose {
      #expect(text(bye.requestURI.bytes) == "sip:raw@\(proxy.endpoint)")
      #expect(lines(bye, .route) == ["<sip:p1.example;lr>", "<sip:p2.example;lr>"])
    } else {
      #expect(text(bye.requestURI.bytes) == "sip:p1.example")
      #expect(lines(bye, .route) == ["<sip:p2.example>", "<sip:raw@\(proxy.endpoint)>"])
    }
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 3261 §12.1.2: the callee's proxies likewise, in reverse, once the dialog is there")
  func recordRouteOfCallee() throws {
    let world = World()
    let alice = world.registered("1000")[0]
    let bob = throughProxy(world, "1001", ["Path: <sip:t0ken@192.0.2.9;lr>", "Supported: path"])
    bob.script = PhoneScript([
      .respond(180),
      .respond(
        200, after: .seconds(1), headers: ["Record-Route: <sip:f2@p2.example;lr>, <sip:f1@p1.example;lr>"],
        body: bob.sdp),
    ])
    let call = alice.call("1001")
    world.run(3)
    alice.hangUp(call)
    world.run(2)
    for method in [Method.ack, .bye] {
      let request = try #require(world.sent(to: bob).last { $0.isRequest && $0.method == method })
      #expect(lines(request, .route) == ["<sip:f1@p1.example;lr>", "<sip:f2@p2.example;lr>"])
    }
    world.expectNothingLeft(records: 1)
  }
}
