import Logging
import NetCore
import SIPDigest
import SIPMessage
import SIPTransaction

// REGISTER at a carrier: what `RegistrationMachine` asks for goes out, what comes back is told to it.
extension CallShard {
  func registerAgain(_ keeper: TrunkKeeper) {
    guard var registration = keeper.registration else { return }
    keeper.registrars = []
    let first = registration.start()
    let action = first == .nothing ? registration.timer() : first
    keeper.registration = registration
    perform(action, keeper)
  }

  func perform(_ action: RegistrationMachine.Action, _ keeper: TrunkKeeper) {
    switch action {
    case .register(let seconds): sendRegister(keeper, seconds: seconds)
    case .wait(let span):
      cancel(&keeper.registerTimer)
      keeper.registerTimer = arm(keeper, .register, after: span)
    case .ended: left(keeper)
    case .nothing: break
    }
  }

  /// The answer to a challenge goes to the server that asked, and so does what takes the Contact away; a refresh finds
  /// its servers anew.
  private func sendRegister(_ keeper: TrunkKeeper, seconds: Int) {
    if !keeper.registrars.isEmpty { return sendRegister(keeper, keeper.registrars, seconds: seconds) }
    find(keeper) { [unowned self] keeper, flows in
      guard keeper.registration?.isLeaving == (seconds == 0) else {
        // It is to leave by now, and was not asked for yet.
        return registered(keeper, .refused(status: 408, retryAfter: nil), problem: "")
      }
      sendRegister(keeper, flows, seconds: seconds)
    }
  }

  private func sendRegister(_ keeper: TrunkKeeper, _ flows: [Flow], seconds: Int) {
    let trunk = keeper.trunk
    keeper.registrars = flows
    guard let plan = trunk.plan.registration, let flow = flows.first else {
      return registered(keeper, .refused(status: 503, retryAfter: nil), problem: "REGISTER: the host cannot be found")
    }
    let address = CallShard.addressOfRecord(plan.user, trunk.host)
    let uri = trunk.uri(user: [])
    let request = OwnRequest(
      method: .register, flow: flow, requestURI: uri, from: address + Array(";tag=".utf8) + keeper.fromTag, to: address,
      callID: keeper.callID, cseq: keeper.nextCSeq())
    let answer = keeper.registration?.nextAnswer()
    let contact = trunkContact(keeper, plan, flow)
    let cnonce = Token.randomHex(random.next())
    let (slot, generation) = (keeper.slot, keeper.generation)
    send(request) { writer in
      writer.begin(.contact)
      writer.append(contact)
      writer.append(";expires=")
      writer.append(number: seconds)
      writer.endLine()
      writer.header(.expires, number: seconds)
      writer.header(.allow, CallShard.allow)
      guard let answer, let credentials = trunk.plan.credentials else { return }
      let value = answer.challenge.authorization(
        user: credentials.user, password: credentials.password, method: Array("REGISTER".utf8)[...], uri: uri[...],
        cnonce: cnonce[...], nc: answer.count)
      writer.header(answer.isProxy ? .proxyAuthorization : .authorization, value[...])
    } done: { [unowned self] status, response in
      guard status >= 200, let keeper = trunkKeepers.get(slot, generation) else { return }
      if status == 503 || response == nil {
        // RFC 3263 §4.3: the next server of the same host, if there is one.
        hopFailed(flow)
        let others = Array(keeper.registrars.dropFirst())
        if !others.isEmpty { return sendRegister(keeper, others, seconds: seconds) }
      }
      registered(keeper, outcome(keeper, status, response, contact), problem: problem(status, response))
    }
  }

  /// Our Contact at a carrier: with a token in it by which the calls that it brings are known. `line` is what others call
  /// such a parameter too.
  private func trunkContact(_ keeper: TrunkKeeper, _ plan: TrunkRegistrationPlan, _ flow: Flow) -> [UInt8] {
    let advertised = settings.listeners[Int(flow.listener)].advertised
    let parameter = flow.transport == .udp ? "" : ";transport=\(flow.transport.parameterName)"
    return Array("<sip:".utf8) + CallShard.escaped(plan.contactUser)
      + Array("@\(advertised)\(parameter);line=".utf8) + keeper.contactToken + Array(">".utf8)
  }

  /// `<sip:user@host>`, without the port: an address of record has none (RFC 3261 §10).
  private static func addressOfRecord(_ user: String, _ host: String) -> [UInt8] {
    var name = host[...]
    if let colon = host.lastIndex(of: ":"), !host[colon...].contains("]") { name = host[..<colon] }
    return Array("<sip:".utf8) + escaped(user) + Array("@\(name)>".utf8)
  }

  /// The user part of a URI (RFC 3261 §25.1).
  private static func escaped(_ user: String) -> [UInt8] {
    let plain = Array("-_.!~*'()&=+$,;?/".utf8)
    let digits = Array("0123456789ABCDEF".utf8)
    return user.utf8.flatMap { c -> [UInt8] in
      let isAlphanumeric = (0x30...0x39).contains(c) || (0x41...0x5a).contains(c & ~0x20)
      if isAlphanumeric || plain.contains(c) { return [c] }
      return [UInt8(ascii: "%"), digits[Int(c >> 4)], digits[Int(c & 15)]]
    }
  }

  // MARK: what the registrar says

  private func outcome(
    _ keeper: TrunkKeeper, _ status: Int, _ response: Message?, _ contact: [UInt8]
  ) -> RegistrationMachine.Outcome {
    guard let response else { return .refused(status: status, retryAfter: nil) }
    switch status {
    case 200..<300:
      let seconds = CallShard.granted(response, contact, asked: keeper.trunk.plan.registration?.expires ?? 3600)
      guard seconds > 0 || keeper.registration?.isLeaving == true else {
        return .refused(status: 500, retryAfter: nil)
      }
      keep(response, seconds, keeper)
      return .granted(seconds: seconds)
    case 401, 407:
      let values = response.all(status == 407 ? .proxyAuthenticate : .wwwAuthenticate)
      guard let credentials = keeper.trunk.plan.credentials else { return .challenged(nil, isProxy: status == 407) }
      return .challenged(
        keeper.status.registrarChallenge(of: values, credentials),
        isProxy: status == 407)
    case 423:
      return .tooBrief(minimum: response.first(.minExpires).map { Int(Registration.seconds($0)) })
    default:
      let after = response.first(.retryAfter).map { $0.prefix { (0x30...0x39).contains($0) } }
      return .refused(status: status, retryAfter: after.flatMap { Int(String(decoding: $0, as: UTF8.self)) })
    }
  }

  /// What the 200 says of our own Contact among those that it lists (§10.2.4); of a registrar that lists none, its
  /// Expires.
  private static func granted(_ response: Message, _ contact: [UInt8], asked: Int) -> Int {
    let whole = response.first(.expires).map { Int(Registration.seconds($0)) } ?? asked
    guard let own = try? NameAddress(parsing: contact[...]).uri.parameter("line"),
      let addresses = try? response.addresses(.contact)
    else { return whole }
    for address in addresses {
      guard case .some(.some(let token)) = address.uri.parameter("line"), own?.elementsEqual(token) == true else {
        continue
      }
      guard case .some(let value) = address.parameter("expires") else { return whole }
      return Int(Registration.seconds(value))
    }
    return whole
  }

  private func keep(_ response: Message, _ seconds: Int, _ keeper: TrunkKeeper) {
    // Another of the same name may have its place.
    guard !keeper.isRemoved else { return }
    let until = services.wallClock() + Int64(seconds) * 1000
    // Longer than anybody's route is: nothing of a stranger's.
    let routes = response.values(.serviceRoute).prefix(8).filter { route in
      route.count <= 512 && (try? NameAddress(parsing: route)) != nil
    }
    keeper.status.update { state in
      state.registeredUntil = seconds > 0 ? until : nil
      state.serviceRoute = routes.map { Array($0) }
      state.accountProblem = nil
    }
  }

  private func problem(_ status: Int, _ response: Message?) -> String {
    guard let response else { return "REGISTER: \(status == 408 ? "no answer" : "cannot be sent")" }
    return "REGISTER: \(status)\(phrase(response).map { " " + $0 } ?? "")"
  }

  private func registered(_ keeper: TrunkKeeper, _ outcome: RegistrationMachine.Outcome, problem: String) {
    guard var registration = keeper.registration else { return }
    let wasLeaving = registration.isLeaving
    let action = registration.received(outcome, random: random.next())
    keeper.registration = registration
    if !wasLeaving { tell(keeper, action, problem) }
    switch action {
    case .wait, .ended: if !registration.isRegistered { keeper.registrars = [] }
    case .register, .nothing: break
    }
    perform(action, keeper)
  }

  /// One line when it works, one when it does not, and none for more of the same.
  private func tell(_ keeper: TrunkKeeper, _ action: RegistrationMachine.Action, _ problem: String) {
    guard case .wait(let span) = action else { return }
    let name: Logger.Metadata = ["trunk": .string(keeper.trunk.name)]
    if keeper.registration?.isRegistered == true {
      guard !keeper.isRegisteredLogged else { return }
      keeper.isRegisteredLogged = true
      keeper.loggedProblem = nil
      return services.logger.notice("registered with a trunk", metadata: name)
    }
    keeper.isRegisteredLogged = false
    keeper.status.update { $0.accountProblem = problem }
    guard keeper.loggedProblem != problem else { return }
    keeper.loggedProblem = problem
    services.logger.warning(
      "not registered with a trunk: \(problem)",
      metadata: name.merging(["next attempt": "in \(Int(span.seconds.rounded())) s"]) { $1 })
  }
}
