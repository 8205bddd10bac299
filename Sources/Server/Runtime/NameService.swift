import CallEngine
import DNSClient
import Foundation
import NetCore
import NextHop
import SIPTransport

/// The DNS client and the table of hops that it fills.
final class NameService: Sendable {
  private let client: DNSClient

  init(_ hops: HopTable, _ configuration: ServerConfiguration.DNS, peers: ShardPeers) {
    let client = DNSClient(configuration.client) { question, answer in hops.answered(question, answer, now: .now) }
    self.client = client
    hops.connect(
      ask: { [weak client] in client?.ask($0) },
      // A mailbox that is full loses it: who waits there gives up by his own timer.
      deliver: { peers.post(.resolved($0.asker, $0.result), to: Int($0.asker.shard)) })
    NameService.setHosts(hops, configuration)
  }

  /// After a reload: also `/etc/hosts` and `/etc/resolv.conf` may be others by now.
  func apply(_ configuration: ServerConfiguration.DNS, to hops: HopTable) {
    hops.setCacheCapacity(configuration.cache)
    NameService.setHosts(hops, configuration)
    client.apply(configuration.client)
  }

  func stop() { client.stop() }

  private static let maxHostsBytes = 1 << 20

  private static func setHosts(_ hops: HopTable, _ configuration: ServerConfiguration.DNS) {
    var hosts: [DNSName: [IPAddress]] = [:]
    if let file = FileHandle(forReadingAtPath: "/etc/hosts") {
      hosts = HostsFile.parse(Array((try? file.read(upToCount: maxHostsBytes)) ?? Data()))
      try? file.close()
    }
    hosts.merge(configuration.hosts) { _, ours in ours }
    hops.setHosts(hosts)
  }
}
