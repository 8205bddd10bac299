import Testing

@testable import Server

@Suite("Configuration: what is wrong is said with file and line")
struct ConfigurationFaultTests {
  private func faults(_ text: String) -> [String] {
    do {
      _ = try ConfigurationReader.read(text: text, file: "n.yaml", directory: "/etc/nightjar")
      return []
    } catch {
      return error.faults.map(\.description)
    }
  }

  @Test(
    "one fault, one line",
    arguments: [
      ("sipp: {}", "n.yaml:1: sipp: unknown key; did you mean \"sip\"?"),
      ("sip:\n  lisen: []", "n.yaml:2: sip.lisen: unknown key; did you mean \"listen\"?"),
      ("log:\n  colour: red", "n.yaml:2: log.colour: unknown key; known: level, format"),
      ("sip:\n  shards: many", "n.yaml:2: sip.shards: a whole number is expected, not many"),
      ("sip:\n  shards: \"4\"", "n.yaml:2: sip.shards: a whole number is expected, not the text \"4\""),
      ("sip:\n  shards: 200", "n.yaml:2: sip.shards: 200 is out of range; 0 to 128"),
      ("sip:\n  shards: [1]", "n.yaml:2: sip.shards: a whole number is expected, not a list"),
      (
        "sip:\n  session_expires: 30",
        "n.yaml:2: sip.session_expires: 30 is less than 90 (RFC 4028 §4); 0: none"
      ),
      ("sip: {session_expires: 120, min_se: 200}", "n.yaml:1: sip: session_expires is less than min_se"),
      ("sip: {min_se: 60}", "n.yaml:1: sip.min_se: 60 is out of range; 90 to 86400"),
      ("sip: 5060", "n.yaml:1: sip: a group of keys is expected, not 5060"),
      ("- sip", "n.yaml:1: a group of keys is expected, not a list"),
      (
        "sip:\n  listen:\n    - udp:127.0.0.1:5060\n    - dup:127.0.0.1:5060",
        "n.yaml:4: sip.listen[2]: unknown transport \"dup\"; did you mean \"udp\"?"
      ),
      (
        "sip: {listen: [udp:localhost:5060]}",
        "n.yaml:1: sip.listen[1]: \"localhost:5060\" is not ADDRESS:PORT, such as 127.0.0.1:5060 or [::1]:5060"
      ),
      (
        "sip: {listen: [5060]}",
        "n.yaml:1: sip.listen[1]: \"5060\" is not TRANSPORT:ADDRESS:PORT, such as udp:127.0.0.1:5060"
      ),
      ("sip: {listen: []}", "n.yaml:1: sip.listen: at least one address is needed"),
      (
        "sip: {listen: [udp:127.0.0.1:5060, udp:127.0.0.1:5060]}",
        "n.yaml:1: sip.listen[2]: udp:127.0.0.1:5060 is listed twice"
      ),
      (
        "trunks:\n  - name: a\n    host: h\n    contact_user: 4930",
        "n.yaml:2: trunks[1]: contact_user needs register: true"
      ),
      (
        "trunks: [{name: a, host: h, realm: r}]",
        "n.yaml:1: trunks[1]: auth_username and realm need a username and a password"
      ),
      (
        "trunks: [{name: a, host: h, ping: 0.01}]",
        "n.yaml:1: trunks[1].ping: at least half a second lies between two OPTIONS; 0: none are sent"
      ),
      ("control: {http: \"127.0.0.1:80\"}", "n.yaml:1: control.http: the HTTP interface comes with a later release"),
      (
        "sip: {domain: no}",
        "n.yaml:1: sip.domain: text is expected; put no in quotes, as YAML reads it as a truth value"
      ),
      ("sip: {domain: \"a b\"}", "n.yaml:1: sip.domain: \"a b\" is not a host name"),
      ("sip: {advertise: [192.0.2.1, 192.0.2.2]}", "n.yaml:1: sip.advertise[2]: a second IPv4 address; one a family"),
      (
        "sip: {auth: {algorithms: [md5]}}",
        "n.yaml:1: sip.auth.algorithms[1]: unknown algorithm \"md5\"; did you mean \"MD5\"?"
      ),
      (
        "sip: {auth: {algorithms: []}}", "n.yaml:1: sip.auth.algorithms: at least one algorithm is needed: MD5, SHA-256"
      ),
      ("media: {ports: 10000}", "n.yaml:1: media.ports: \"10000\" is not a range of ports, such as 10000-31999"),
      (
        "media: {ports: 10001-20000}",
        "n.yaml:1: media.ports: a range of RTP ports starts at an even number of at least 1024, not at 10001"
      ),
      ("media: {ports: 20000-20002}", "n.yaml:1: media.ports: \"20000-20002\" holds no call: a call takes four ports"),
      ("media: {ports: 30000-20000}", "n.yaml:1: media.ports: \"30000-20000\" holds no call: a call takes four ports"),
      ("media: {timeout: soon}", "n.yaml:1: media.timeout: a number is expected, not soon"),
      ("media: {timeout: -1}", "n.yaml:1: media.timeout: -1 is out of range; 0 to 1000000"),
      ("media: {timeout: .nan}", "n.yaml:1: media.timeout: a number is expected, not .nan"),
      ("media: {tones: uk}", "n.yaml:1: media.tones: unknown country \"uk\"; did you mean \"us\"?"),
      (
        "dialplan: {ringback: tone_til_media}",
        "n.yaml:1: dialplan.ringback: unknown ringback \"tone_til_media\"; did you mean \"tone_until_media\"?"
      ),
      ("dialplan: {ringback: {plai: x}}", "n.yaml:1: dialplan.ringback: play is missing"),
      ("users:\n  - {password: x}", "n.yaml:2: users[1]: name is missing"),
      ("users:\n  - {name: a}", "n.yaml:2: users[1]: password is missing"),
      ("users:\n  - {name: a, password: }", "n.yaml:2: users[1]: password is missing"),
      ("users:\n  - {name: a, password: \"\"}", "n.yaml:2: users[1].password: must not be empty"),
      (
        "users:\n  - {name: a, password: b}\n  - {name: a, password: c}",
        "n.yaml:3: users[2]: a second user named \"a\""
      ),
      (
        "users:\n  - {name: \"a:b\", password: c}",
        "n.yaml:2: users[1].name: \"a:b\" is not a user name: up to 64 letters, digits and -_.!~*'+#"
      ),
      ("users: {name: a}", "n.yaml:1: users: a list is expected, not a group of keys"),
      (
        "registrar: {min_expires: 100, max_expires: 50}",
        "n.yaml:1: registrar: min_expires (100) is more than max_expires (50)"
      ),
      (
        "access: [{source: 10.1.2.3/16}]",
        "n.yaml:1: access[1].source: \"10.1.2.3/16\" has bits set beyond its prefix; did you mean \"10.1.0.0/16\"?"
      ),
      (
        "access: [{source: 2001:db8::1/64}]",
        "n.yaml:1: access[1].source: \"2001:db8::1/64\" has bits set beyond its prefix; did you mean \"2001:db8::/64\"?"
      ),
      ("access: [{source: 10.0.0.0/33}]", "n.yaml:1: access[1].source: \"10.0.0.0/33\" has no valid prefix length"),
      (
        "access: [{source: here}]",
        "n.yaml:1: access[1].source: \"here\" is not an IP address or range, such as 10.1.0.0/16"
      ),
      ("access: [{context: a}]", "n.yaml:1: access[1]: source is missing"),
      ("access: [{source: []}]", "n.yaml:1: access[1].source: at least one is needed"),
      (
        "access: [{source: 10.0.0.0/8, authenticate: maybe}]",
        "n.yaml:1: access[1].authenticate: true or false is expected, not maybe"
      ),
      (
        "trunks: [{name: a/b, host: h}]",
        "n.yaml:1: trunks[1].name: \"a/b\" is not a trunk name: up to 64 letters, digits and -_."
      ),
      ("trunks: [{name: a, host: \"1.2.3:5\"}]", "n.yaml:1: trunks[1].host: \"1.2.3:5\" is not HOST or HOST:PORT"),
      (
        "trunks: [{name: a, host: h, username: u}]",
        "n.yaml:1: trunks[1]: username and password belong together: give both or neither"
      ),
      ("trunks: [{name: a, host: h, register: true}]", "n.yaml:1: trunks[1]: register needs a username and a password"),
      ("trunks: [{name: a, host: h}, {name: a, host: h}]", "n.yaml:1: trunks[2]: a second trunk named \"a\""),
      ("storage: {url: \"postgres://x\"}", "n.yaml:1: storage.url: \"postgres://x\" is not sqlite:PATH"),
      ("records: {csv: a, json: a}", "n.yaml:1: records: csv and json name the same file"),
      ("control: {http: 8080}", "n.yaml:1: control.http: \"8080\" is not ADDRESS:PORT, such as 127.0.0.1:8080"),
      (
        "log: {level: verbose}",
        "n.yaml:1: log.level: unknown level \"verbose\"; known: trace, debug, info, notice, warning, error, critical"
      ),
      ("sip:\n  shards: 1\n  shards: 2", "n.yaml:2: key \"shards\" is given twice"),
    ])
  func one(text: String, fault: String) {
    let found = faults(text)
    #expect(found.first == fault)
    #expect(found.count == 1 || text.contains("plai") || found.dropFirst().allSatisfy { $0.hasSuffix("later release") })
  }

  @Test("all faults at once, in the order of the file")
  func all() {
    let found = faults(
      """
      sip:
        domain: "a b"
        shard: 2
      users:
        - {name: a, password: b, contxt: c}
      media:
        ports: x
      frob: 1
      """)
    #expect(
      found == [
        "n.yaml:2: sip.domain: \"a b\" is not a host name",
        "n.yaml:3: sip.shard: unknown key; did you mean \"shards\"?",
        "n.yaml:5: users[1].contxt: unknown key; did you mean \"context\"?",
        "n.yaml:7: media.ports: \"x\" is not a range of ports, such as 10000-31999",
        "n.yaml:8: frob: unknown key; known: sip, dns, media, dialplan, users, registrar, access, trunks, limits, storage, records, control, log",
      ])
  }

  @Test(
    "broken YAML is one fault with its line",
    arguments: [
      ("sip:\n  listen: [udp:127.0.0.1:5060\nmedia: {}", 3), ("sip: {\n", 2), ("sip:\n\tx: 1", 2), ("a: *b", 1),
      ("a: 1\n---\nb: 2", 2),
    ])
  func syntax(text: String, line: Int) {
    let found = faults(text)
    #expect(found.count == 1)
    #expect(found.first?.hasPrefix("n.yaml:\(line): ") == true, "\(found)")
    #expect(found.first?.contains("\n") == false)
  }

  @Test("a socket path that the kernel would cut is refused")
  func longSocket() {
    #expect(faults("control: {socket: /\(String(repeating: "x", count: 120))}").first?.contains("107 octets") == true)
  }

  @Test("one line for a daemon that gives up")
  func summary() {
    let error = ConfigurationError(faults: [
      .init(file: "n.yaml", line: 2, message: "a"), .init(file: "n.yaml", line: 3, message: "b"),
    ])
    #expect(error.summary == "n.yaml:2: a (and 1 more; `nightjar check` lists them)")
    #expect(error.description == "n.yaml:2: a\nn.yaml:3: b")
  }
}
