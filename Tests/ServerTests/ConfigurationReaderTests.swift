import CallEngine
import Foundation
import NetCore
import SIPDigest
import Testing

@testable import Server

@Suite("Configuration: what a file means")
struct ConfigurationReaderTests {
  private func read(_ text: String) throws -> ServerConfiguration {
    try ConfigurationReader.read(text: text, file: "nightjar.yaml", directory: "/etc/nightjar")
  }

  @Test(
    "an empty file is a loopback server without a script",
    arguments: ["", "# nothing\n", "---\n", "sip:\nmedia:\nusers:\n"])
  func empty(text: String) throws {
    let c = try read(text)
    #expect(c.sip.listen.map(\.description) == ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"])
    #expect(c.sip.domain == "nightjar.local")
    #expect(c.sip.advertise == [])
    #expect(c.sip.algorithms == [.md5, .sha256])
    #expect(c.sip.shards == 0)
    #expect(c.sip.sessionExpires == 1800 && c.sip.minSE == 90)
    #expect(c.sip.tls == .init())
    #expect(c.sip.localNetworks == [])
    #expect(c.sip.nat == KeepaliveSettings(interval: .seconds(30 as Int64), method: .crlf))
    #expect(c.media.addresses.map(\.description) == ["127.0.0.1", "::1"])
    #expect(c.media.ports == 10000...31999)
    #expect(c.media.timeout == .seconds(60 as Int64))
    #expect(c.media.holdTimeout == .zero)
    #expect(c.media.tones == "us")
    #expect(c.dialplan.script == nil)
    #expect(c.dialplan.sounds == "/etc/nightjar/sounds")
    #expect(c.dialplan.ringback == .toneUntilMedia)
    #expect(c.dialplan.maxGenerations == 16)
    #expect(c.dialplan.limits == .init())
    #expect(c.users == [])
    #expect(c.registrar == .init())
    #expect(c.access == [])
    #expect(c.trunks == [])
    #expect(c.storage.database == .file("/etc/nightjar/data/nightjar.db"))
    #expect(c.records == .init())
    #expect(c.control == .init(socket: "/etc/nightjar/run/nightjar.sock"))
    #expect(c.log == .init())
  }

  @Test("every key is taken over")
  func everyKey() throws {
    let c = try read(
      """
      sip:
        listen: [udp:192.0.2.1:5070, "tcp:[::1]:0"]
        domain: PBX.example.org
        advertise: [203.0.113.9, "2001:db8::9"]
        auth: {algorithms: [SHA-256]}
        tls: {certificate: null, key: null}
        session_expires: 600
        min_se: 120
        shards: 4
      media:
        address: 192.0.2.1
        ports: 20000-20999
        timeout: 12.5
        hold_timeout: 3600
        tones: de
      dialplan:
        sounds: /usr/share/sounds
        ringback: {play: summer.wav, loop: false}
        max_generations: 3
        limits: {memory_mib: 128, call_memory_mib: 4, burst_ms: 2, call_cpu_ms: 100, load_cpu_ms: 500, tasks_per_call: 9}
      users:
        - {name: 1000, password: 0123, caller_id: {name: Alice, number: "+4930"}}
        - {name: "1001", password: "yes", context: sales}
      registrar: {min_expires: 30, max_expires: 600, max_contacts: 2}
      access:
        - {source: 10.1.0.0/16, context: office, authenticate: false}
        - {source: [192.0.2.7, "2001:db8::/32"]}
      trunks:
        - {name: carrier, host: "203.0.113.5:5080", transport: tcp, username: null, ping: 0,
           context: inbound, sources: 203.0.113.5, max_calls: 0, calls_per_second: 0.0}
        - {name: other, host: sip.example.net, username: "4930", password: s3cret, auth_username: a4930,
           realm: example.net, register: true, expires: 600, contact_user: "+4930", down_after: 5, max_calls: 30,
           calls_per_second: 2.5}
        - {name: six, host: "[2001:db8::1]:5060"}
      storage: {url: "sqlite:/var/lib/nightjar/nightjar.db"}
      records: {csv: cdr.csv, json: cdr.jsonl, keep_days: 0}
      control: {socket: /run/nightjar.sock}
      log: {level: debug, format: json}
      """)
    #expect(c.sip.listen.map(\.description) == ["udp:192.0.2.1:5070", "tcp:[::1]:0"])
    #expect(c.sip.domain == "pbx.example.org")
    #expect(c.sip.advertise.map(\.description) == ["203.0.113.9", "2001:db8::9"])
    #expect(c.sip.algorithms == [.sha256])
    #expect(c.sip.shards == 4)
    #expect(c.sip.sessionExpires == 600 && c.sip.minSE == 120)
    #expect(c.media.addresses.map(\.description) == ["192.0.2.1"])
    #expect(c.media.ports == 20000...20999)
    #expect(c.media.timeout == .milliseconds(12500))
    #expect(c.media.holdTimeout == .seconds(3600 as Int64))
    #expect(c.media.tones == "de")
    #expect(c.dialplan.sounds == "/usr/share/sounds")
    #expect(c.dialplan.ringback == .play(file: "summer.wav", loop: false, untilMedia: true))
    #expect(c.dialplan.maxGenerations == 3)
    #expect(c.dialplan.limits.memory == 128 << 20)
    #expect(c.dialplan.limits.callMemory == 4 << 20)
    #expect(c.dialplan.limits.burst == .milliseconds(2))
    #expect(c.dialplan.limits.callCPU == .milliseconds(100))
    #expect(c.dialplan.limits.loadCPU == .milliseconds(500))
    #expect(c.dialplan.limits.tasksPerCall == 9)
    #expect(c.users.map(\.name) == ["1000", "1001"])
    #expect(c.users.map(\.password) == ["0123", "yes"])
    #expect(c.users.map(\.context) == ["internal", "sales"])
    #expect(c.users.first?.callerID == .init(name: "Alice", number: "+4930"))
    #expect(c.registrar.minExpires == 30)
    #expect(c.registrar.maxExpires == 600)
    #expect(c.registrar.maxContacts == 2)
    #expect(c.access.count == 2)
    #expect(c.access.first?.sources == [SourceNetwork(address: IPAddress(v4: 0x0a01_0000), bits: 16)])
    #expect(c.access.first?.authenticate == false)
    #expect(c.access.last?.sources.map(\.bits) == [32, 32])
    #expect(c.access.last?.context == "public")
    #expect(c.access.last?.authenticate == true)
    #expect(c.trunks.map(\.name) == ["carrier", "other", "six"])
    #expect(c.trunks.map(\.host) == ["203.0.113.5", "sip.example.net", "2001:db8::1"])
    #expect(c.trunks.map(\.port) == [5080, nil, 5060])
    #expect(c.trunks.first?.transport == .tcp)
    #expect(c.trunks.first?.ping == .zero)
    #expect(c.trunks.first?.sources.count == 1)
    #expect(c.trunks.last?.ping == .seconds(30 as Int64))
    var other = ServerConfiguration.Trunk(name: "other", host: "sip.example.net")
    other.username = "4930"
    other.password = "s3cret"
    other.authUsername = "a4930"
    other.realms = ["example.net"]
    other.register = true
    other.expires = 600
    other.contactUser = "+4930"
    other.downAfter = 5
    other.maxCalls = 30
    other.callsPerSecond = 2.5
    #expect(c.trunks[1] == other)
    #expect(c.storage.database == .file("/var/lib/nightjar/nightjar.db"))
    #expect(c.records.csv == "/etc/nightjar/cdr.csv")
    #expect(c.records.json == "/etc/nightjar/cdr.jsonl")
    #expect(c.records.keepDays == 0)
    #expect(c.control.socket == "/run/nightjar.sock")
    #expect(c.log.level == .debug)
    #expect(c.log.format == .json)
  }

  @Test(
    "the words of ringback",
    arguments: zip(
      ["180", "passthrough", "tone", "tone_until_media", "{play: a.wav, until_media: false}"],
      [
        RingbackPolicy.ringing, .passthrough, .tone, .toneUntilMedia,
        .play(file: "a.wav", loop: true, untilMedia: false),
      ]))
  func ringback(text: String, policy: RingbackPolicy) throws {
    #expect(try read("dialplan: {ringback: \(text)}").dialplan.ringback == policy)
  }

  @Test("a script that is there is taken by its absolute path, one that is not is a fault at its line")
  func script() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "nightjar-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data("-- nothing".utf8).write(to: folder.appending(path: "dialplan.lua"))
    let file = folder.appending(path: "nightjar.yaml")
    try Data("dialplan:\n  script: dialplan.lua\n".utf8).write(to: file)
    let read = try ConfigurationReader.read(file: file.path)
    #expect(read.dialplan.script == folder.appending(path: "dialplan.lua").path)
    #expect(read.file == file.path)
    try Data("dialplan:\n  script: other.lua\n".utf8).write(to: file)
    let error = #expect(throws: ConfigurationError.self) { try ConfigurationReader.read(file: file.path) }
    #expect(error?.description == "\(file.path):2: dialplan.script: \(folder.path)/other.lua: no such file")
  }

  @Test("a file that is not there, or a folder, is one line")
  func noFile() {
    let missing = #expect(throws: ConfigurationError.self) { try ConfigurationReader.read(file: "/nonexistent/x.yaml") }
    #expect(missing?.description == "/nonexistent/x.yaml: cannot be read: no such file")
    let folder = #expect(throws: ConfigurationError.self) { try ConfigurationReader.read(file: "/tmp") }
    #expect(folder?.description.contains("\n") == false)
  }

  @Test("a change that a reload cannot make is named by its key")
  func restart() throws {
    let old = try read("")
    #expect(old.keysNeedingRestart(toBecome: old) == [])
    let new = try read(
      """
      sip: {listen: [udp:127.0.0.1:5070], domain: other.example}
      users: [{name: a, password: b}]
      log: {level: debug, format: json}
      """)
    #expect(old.keysNeedingRestart(toBecome: new) == ["sip.listen", "sip.domain", "log.format"])
    let merged = new.keepingFixedKeys(of: old)
    #expect(old.keysNeedingRestart(toBecome: merged) == [])
    #expect(merged.users == new.users)
    #expect(merged.log.level == .debug)
  }
}
