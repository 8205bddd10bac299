import Foundation
import Yams

/// Reads the configuration file: YAML, strict. An unknown key, a wrong type and a bad value are faults with file and line,
/// all of them reported at once. A key without a value keeps its default. Relative paths are taken from the file's folder.
/// A key marked † is kept for a later release: any value but its default is a fault.
///
/// | key | type | default | |
/// | --- | --- | --- | --- |
/// | `sip.listen` | list of `TRANSPORT:ADDRESS:PORT` | `[udp:127.0.0.1:5060, tcp:127.0.0.1:5060]` | udp, tcp, tls, ws, wss; `"udp:[::1]:5060"` for IPv6; port 0: the kernel's choice |
/// | `sip.domain` | host name | `nightjar.local` | digest realm and domain of the users |
/// | `sip.advertise` | address, or one a family | null | what Contact, Via and SDP say behind a NAT |
/// | `sip.auth.algorithms` | list of `MD5`, `SHA-256` | `[MD5, SHA-256]` | one challenge each, in this order |
/// | `sip.tls.certificate`, `sip.tls.key` | path | null | PEM; both or neither |
/// | `sip.tls.certificates[]` | `{names, certificate, key}` | `[]` | more of them, chosen by SNI |
/// | `sip.tls.client_certificates` | none, optional, required | none | the last two need `ca` |
/// | `sip.tls.ca` | path | null | who signs the certificates of clients |
/// | `sip.tls.trust` | path | null | who signs those of servers, besides the system's authorities |
/// | `sip.tls.wildcards` | truth value | false | `*.example.com` in a server's certificate counts |
/// | `sip.websocket.origins` | list of text | `[]` | web pages that may connect; empty: any |
/// | `sip.connections.total`, `.per_address` | 1…1000000 | 20000, 1000 | TCP, TLS and WebSockets that peers open |
/// | `sip.connections.first_message`, `.idle` | seconds | 10, 3900 | then a connection is closed |
/// | `sip.udp_limit` | 0, 500…65507 | 1300 | longer requests go by TCP; 0: none |
/// | `sip.session_expires` | 0, 90…86400 | 1800 | seconds without a refresh after which a call is over (RFC 4028); 0: not asked for |
/// | `sip.min_se` | 90…86400 | 90 | the least that a peer may ask for, in seconds |
/// | `sip.local_networks` | address or CIDR, or a list | `[]` | peers that are told the local addresses, not `advertise` |
/// | `sip.nat.keepalive` | 5…600 seconds, or 0 | 30 | between two keep-alives to a phone behind NAT; 0: none |
/// | `sip.nat.method` | `crlf`, `options` | `crlf` | what it is sent |
/// | `sip.shards` | 0…128 | 0 | event loops that run calls; 0: half of the cores, at least one |
/// | `dns.servers` | `ADDRESS` or `ADDRESS:PORT`, or a list | `[]` | empty: those of `/etc/resolv.conf` |
/// | `dns.timeout` | seconds, 0.05…30 | 1 | until the next server is asked; the double in each further round |
/// | `dns.attempts` | 1…5 | 2 | rounds over all servers |
/// | `dns.cache` | 100…1000000 | 10000 | answers that are kept |
/// | `dns.failover_after` | seconds | 4 | silence of one server until the target's next is tried; 0: timer B |
/// | `dns.hosts` | name: address, or a list | `{}` | before `/etc/hosts` and DNS |
/// | `media.address` | address, or one a family | `[127.0.0.1, "::1"]` | where RTP is received |
/// | `media.ports` | `LOW-HIGH` | `10000-31999` | four a call |
/// | `media.timeout` | seconds | 60 | an active call without RTP is ended; 0: never |
/// | `media.hold_timeout` | seconds | 0 | the same on hold |
/// | `media.tones` | country | `us` | us, gb, cn, de, fr, jp |
/// | `dialplan.script` | path | null | without one every call gets 404 |
/// | `dialplan.sounds` | path | `sounds` | the folder that play() looks in |
/// | `dialplan.ringback` | `180`, `passthrough`, `tone`, `tone_until_media`, or `{play: FILE, loop: true, until_media: true}` | `tone_until_media` | when dial does not say |
/// | `dialplan.max_generations` | 1…1000 | 16 | scripts alive at once |
/// | `dialplan.limits.memory_mib` | 1…65536 | 64 | a VM |
/// | `dialplan.limits.call_memory_mib` | 1…65536 | 8 | a call |
/// | `dialplan.limits.burst_ms` | 1…1000 | 5 | CPU until other calls have their turn |
/// | `dialplan.limits.call_cpu_ms` | 1…3600000 | 250 | CPU a call |
/// | `dialplan.limits.load_cpu_ms` | 1…600000 | 2000 | CPU to load the script |
/// | `dialplan.limits.tasks_per_call` | 1…100000 | 100 | coroutines of spawn |
/// | `users[]` | | `[]` | besides those in the database |
/// | `users[].name`, `.password` | text | required | |
/// | `users[].context` | text | `internal` | |
/// | `users[].caller_id.name`, `.number` | text | null | what a From that is not his own becomes |
/// | `registrar.min_expires`, `.max_expires` | seconds | 60, 3600 | |
/// | `registrar.max_contacts` | 1…1000 | 10 | a user |
/// | `registrar.path` | `accept`, `strict` | `accept` | a REGISTER with Path but without `Supported: path`: strict: 420 |
/// | `registrar.service_route` | `<sip:…;lr>`, or a list | `[]` | Service-Route of the 200 to a REGISTER |
/// | `access[].source` | address or CIDR, or a list | required | the first match decides |
/// | `access[].context` | text | `public` | |
/// | `access[].authenticate` | truth value | true | |
/// | `trunks[].name` | text | required | as in `trunk/NAME/NUMBER` |
/// | `trunks[].host` | `HOST` or `HOST:PORT` | required | |
/// | `trunks[].transport` | udp, tcp, tls | null | UDP for an address, for a name what DNS says |
/// | `trunks[].tls_verify` | truth value | true | it must prove to be `host` |
/// | `trunks[].username`, `.password` | text | null | both or neither |
/// | `trunks[].auth_username` | text | the username | of the credentials |
/// | `trunks[].realm` | text, or a list | `[]` | the only ones that get the credentials; none: the first asked for |
/// | `trunks[].register` | truth value | false | needs a username |
/// | `trunks[].expires` | seconds, 60…86400 | 3600 | that a registration asks for |
/// | `trunks[].contact_user` | text | the username | of the Contact that is registered |
/// | `trunks[].ping` | seconds | 30 | between two OPTIONS; 0: none |
/// | `trunks[].down_after` | 1…100 | 2 | OPTIONS in a row without an answer |
/// | `trunks[].context` | text | `public` | of the calls that come from it |
/// | `trunks[].sources` | address or CIDR, or a list | `[]` | where its calls come from; matched before `access` |
/// | `trunks[].max_calls` | number | 0 | both directions; 0: no limit |
/// | `trunks[].calls_per_second` | number | 0 | to it; 0: no limit |
/// | `trunks[].trusted` | truth value | true | RFC 3325: it may assert who calls, and is told |
/// | `trunks[].remote_party_id` | truth value | false | Remote-Party-ID to it, and from it |
/// | `limits.requests_per_second` | number | 100 | requests of strangers from one source; 0: no limit |
/// | `limits.burst` | 1…1000000 | 1000 | as many may come at once |
/// | `limits.ban.failures` | 0…1000000 | 20 | wrong credentials until a source is banned; 0: never |
/// | `limits.ban.window` | seconds | 300 | in which so many have to come |
/// | `limits.ban.duration` | seconds | 900 | how long nothing is read from there |
/// | `limits.ban.never` | address or CIDR, or a list | `[]` | besides the sources of trunks |
/// | `storage.url` | `sqlite:PATH` | `sqlite:data/nightjar.db` | `sqlite::memory:` keeps nothing |
/// | `records.csv`, `records.json` | path | null | files beside the database: CSV, JSON lines |
/// | `records.keep_days` | 0…36500 | 90 | 0: for ever |
/// | `control.socket` | path | `run/nightjar.sock` | Unix domain socket, mode 0600 |
/// | `control.http` | `ADDRESS:PORT` | null | † |
/// | `log.level` | trace … critical | info | |
/// | `log.format` | text, json | text | |
public enum ConfigurationReader {
  /// More is not a configuration.
  static let maxBytes = 4 << 20

  /// - Throws: `ConfigurationError` with every fault of the file.
  public static func read(file: String) throws(ConfigurationError) -> ServerConfiguration {
    let text: String
    do {
      let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: file))
      defer { try? handle.close() }
      let data = try handle.read(upToCount: maxBytes + 1) ?? Data()
      guard data.count <= maxBytes else { throw ConfigurationError(file: file, "is larger than \(maxBytes >> 20) MiB") }
      guard let decoded = String(bytes: data, encoding: .utf8) else {
        throw ConfigurationError(file: file, "is not UTF-8 text")
      }
      text = decoded
    } catch let error as ConfigurationError {
      throw error
    } catch {
      throw ConfigurationError(file: file, "cannot be read: \(Self.reason(error))")
    }
    let folder = URL(fileURLWithPath: file).standardizedFileURL.deletingLastPathComponent().path
    return try read(text: text, file: file, directory: folder)
  }

  /// - Parameters:
  ///   - file: What faults name.
  ///   - directory: Absolute; where relative paths start.
  public static func read(
    text: String, file: String, directory: String
  ) throws(ConfigurationError) -> ServerConfiguration {
    var configuration = ServerConfiguration(directory: directory)
    configuration.file = file
    let context = ConfigurationContext(file: file, directory: directory)
    let tree: Node?
    do {
      tree = try Yams.compose(yaml: text)
    } catch {
      throw ConfigurationError(faults: [syntaxFault(error, file: file)])
    }
    guard let tree else { return configuration }
    let root = ConfigurationValue(context: context, path: "", line: tree.mark?.line ?? 1, node: tree)
    if root.isNull { return configuration }
    if let section = root.section() {
      readSIP(section, into: &configuration.sip)
      readDNS(section, into: &configuration.dns)
      readMedia(section, into: &configuration.media)
      readDialplan(section, into: &configuration.dialplan)
      readUsers(section, into: &configuration.users)
      readRegistrar(section, into: &configuration.registrar)
      readAccess(section, into: &configuration.access)
      readTrunks(section, listening: configuration.sip.listen, into: &configuration.trunks)
      readLimits(section, into: &configuration.limits)
      readDaemon(section, into: &configuration)
      section.finish()
    }
    guard context.faults.isEmpty else {
      // Stable: faults of one line stay in the order in which they were found.
      let sorted = context.faults.enumerated().sorted { ($0.element.line, $0.offset) < ($1.element.line, $1.offset) }
      throw ConfigurationError(faults: sorted.map(\.element))
    }
    return configuration
  }

  private static func syntaxFault(_ error: any Error, file: String) -> ConfigurationFault {
    var line = 0
    var message = "\(error)"
    if let error = error as? YamlError {
      switch error {
      case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
        .composer(let context, let problem, let mark, _):
        line = mark.line
        message = "not valid YAML: \(problem)" + (context.map { ", \($0.text) (line \($0.mark.line))" } ?? "")
      case .duplicatedKeysInMapping(let names, let context):
        line = context.mark.line
        message = "key \(names.sorted().map { "\"\($0)\"" }.joined(separator: ", ")) is given twice"
      case .reader(let problem, _, _, _): message = "not valid YAML: \(problem)"
      default: break
      }
    }
    return ConfigurationFault(file: file, line: line, message: message.replacing("\n", with: " "))
  }

  /// What a person wants to know of a Foundation error.
  static func reason(_ error: any Error) -> String {
    let error = error as NSError
    let underlying = error.userInfo[NSUnderlyingErrorKey] as? NSError
    let posix = error.domain == NSPOSIXErrorDomain ? error : underlying?.domain == NSPOSIXErrorDomain ? underlying : nil
    switch posix?.code ?? 0 {
    case 2: return "no such file"
    case 13: return "permission denied"
    case 21: return "is a folder"
    default:
      if error.code == CocoaError.fileReadNoSuchFile.rawValue || error.code == CocoaError.fileNoSuchFile.rawValue {
        return "no such file"
      }
      return error.code == CocoaError.fileReadNoPermission.rawValue ? "permission denied" : error.localizedDescription
    }
  }
}
