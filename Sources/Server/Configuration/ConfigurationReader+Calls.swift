import CallEngine
import NetCore
import SIPMessage

extension ConfigurationReader {
  static func readMedia(_ root: ConfigurationSection, into media: inout ServerConfiguration.MediaPlan) {
    root.section("media") { section in
      section.read("address", into: &media.addresses) { $0.addressPerFamily() }
      section.read("ports", into: &media.ports) { ports($0) }
      section.read("timeout", into: &media.timeout) { $0.span() }
      section.read("hold_timeout", into: &media.holdTimeout) { $0.span() }
      section.read("tones", into: &media.tones) {
        $0.word(of: ServerConfiguration.MediaPlan.toneCountries, what: "country")
      }
    }
  }

  /// `10000-31999`.
  private static func ports(_ value: ConfigurationValue) -> ClosedRange<UInt16>? {
    guard let text = value.text() else { return nil }
    let parts = text.split(separator: "-", omittingEmptySubsequences: false).map { $0.filter { $0 != " " } }
    guard parts.count == 2, let low = UInt16(parts[0]), let high = UInt16(parts[1]) else {
      value.fail("\"\(text)\" is not a range of ports, such as 10000-31999")
      return nil
    }
    guard low >= 1024, low % 2 == 0 else {
      value.fail("a range of RTP ports starts at an even number of at least 1024, not at \(low)")
      return nil
    }
    guard high > low, high - low >= 3 else {
      value.fail("\"\(text)\" holds no call: a call takes four ports")
      return nil
    }
    return low...high
  }

  static func readDialplan(_ root: ConfigurationSection, into dialplan: inout ServerConfiguration.Dialplan) {
    root.section("dialplan") { section in
      section.readOptional("script", into: &dialplan.script) { $0.existingFile() }
      section.read("sounds", into: &dialplan.sounds) { $0.filePath() }
      section.read("ringback", into: &dialplan.ringback) { ringback($0) }
      section.read("max_generations", into: &dialplan.maxGenerations) { $0.integer(in: 1...1000) }
      section.section("limits") { limits in
        func mebibytes(_ key: String, into target: inout Int) {
          limits.read(key, into: &target) { $0.integer(in: 1...65536).map { $0 << 20 } }
        }
        func milliseconds(_ key: String, upTo most: Int, into target: inout Instant.Span) {
          limits.read(key, into: &target) { $0.integer(in: 1...most).map { .milliseconds(Int64($0)) } }
        }
        mebibytes("memory_mib", into: &dialplan.limits.memory)
        mebibytes("call_memory_mib", into: &dialplan.limits.callMemory)
        milliseconds("burst_ms", upTo: 1000, into: &dialplan.limits.burst)
        milliseconds("call_cpu_ms", upTo: 3_600_000, into: &dialplan.limits.callCPU)
        milliseconds("load_cpu_ms", upTo: 600_000, into: &dialplan.limits.loadCPU)
        limits.read("tasks_per_call", into: &dialplan.limits.tasksPerCall) { $0.integer(in: 1...100_000) }
        if dialplan.limits.callMemory > dialplan.limits.memory {
          limits.place.fail("call_memory_mib is more than memory_mib, which all calls share")
        }
      }
    }
  }

  private static func ringback(_ value: ConfigurationValue) -> RingbackPolicy? {
    if value.isSection, let section = value.section() {
      defer { section.finish() }
      var loop = true
      var untilMedia = true
      let file = section.required("play")?.nonEmptyText()
      section.read("loop", into: &loop) { $0.boolean() }
      section.read("until_media", into: &untilMedia) { $0.boolean() }
      return file.map { .play(file: $0, loop: loop, untilMedia: untilMedia) }
    }
    return value.word(of: RingbackPolicy.names, what: "ringback").flatMap { RingbackPolicy(name: $0) }
  }

  static func readUsers(_ root: ConfigurationSection, into users: inout [ServerConfiguration.User]) {
    var names: Set<String> = []
    root.sections("users", into: &users) { section in
      let name = section.required("name")?.name("user name")
      let password = section.required("password")?.nonEmptyText()
      var user = ServerConfiguration.User(name: name ?? "", password: password ?? "", line: section.place.line)
      section.read("context", into: &user.context) { $0.name("context") }
      section.section("caller_id") { id in
        var callerID = ServerConfiguration.CallerID()
        id.readOptional("name", into: &callerID.name) { $0.text() }
        id.readOptional("number", into: &callerID.number) { $0.name("number") }
        if callerID != .init() { user.callerID = callerID }
      }
      guard let name, password != nil else { return nil }
      if !names.insert(name).inserted { section.place.fail("a second user named \"\(name)\"") }
      return user
    }
  }

  static func readRegistrar(_ root: ConfigurationSection, into registrar: inout ServerConfiguration.Registrar) {
    root.section("registrar") { section in
      section.read("min_expires", into: &registrar.minExpires) { $0.integer(in: 0...86400) }
      section.read("max_expires", into: &registrar.maxExpires) { $0.integer(in: 1...31_536_000) }
      section.read("max_contacts", into: &registrar.maxContacts) { $0.integer(in: 1...1000) }
      section.read("path", into: &registrar.path) { value in
        value.word(of: ["accept", "strict"], what: "path").map { $0 == "strict" ? .strict : .accept }
      }
      section.read("service_route", into: &registrar.serviceRoutes) { $0.looseRoutes() }
      if registrar.minExpires > registrar.maxExpires {
        section.place.fail("min_expires (\(registrar.minExpires)) is more than max_expires (\(registrar.maxExpires))")
      }
    }
  }

  static func readAccess(_ root: ConfigurationSection, into access: inout [ServerConfiguration.AccessRule]) {
    root.sections("access", into: &access) { section in
      var rule = ServerConfiguration.AccessRule(sources: [])
      let source = section.required("source")
      rule.sources = source?.networks() ?? []
      if rule.sources.isEmpty, let source { source.failIfEmptyList() }
      section.read("context", into: &rule.context) { $0.name("context") }
      section.read("authenticate", into: &rule.authenticate) { $0.boolean() }
      return rule.sources.isEmpty ? nil : rule
    }
  }
}

extension ConfigurationValue {
  /// Values of a Route: `<sip:edge.example.org;lr>`, one or several.
  fileprivate func looseRoutes() -> [String]? {
    guard let values = listOrOne() else { return nil }
    return values.compactMap { value in
      guard let text = value.nonEmptyText() else { return nil }
      guard text.first == "<", let address = try? NameAddress(parsing: Array(text.utf8)[...]),
        !address.uri.host.isEmpty,
        address.uri.scheme == .sip || address.uri.scheme == .sips, address.uri.parameter("lr") != nil
      else {
        value.fail("\"\(text)\" is no loose route, such as <sip:edge.example.org;lr>")
        return nil
      }
      return text
    }
  }
}
