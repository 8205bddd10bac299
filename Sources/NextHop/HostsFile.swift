public import NetCore

/// The names of `/etc/hosts`, as hosts(5) has them.
public enum HostsFile {
  static let maxNames = 10_000

  /// `ADDRESS NAME…` a line, `#` begins a comment. What cannot be read is passed over, as the system's resolver does.
  public static func parse(_ text: [UInt8]) -> [DNSName: [IPAddress]] {
    var table: [DNSName: [IPAddress]] = [:]
    for line in text.split(separator: UInt8(ascii: "\n")) {
      let words = line.prefix { $0 != UInt8(ascii: "#") }.split { $0 <= 0x20 }
      guard let first = words.first, let ip = IPAddress(bytes: first) else { continue }
      for word in words.dropFirst() {
        guard table.count < maxNames, let name = DNSName(word) else { continue }
        if table[name]?.contains(ip) != true { table[name, default: []].append(ip) }
      }
    }
    return table
  }
}
