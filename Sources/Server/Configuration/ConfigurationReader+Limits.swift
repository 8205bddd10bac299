import CallEngine
import NetCore

extension ConfigurationReader {
  static func readLimits(_ root: ConfigurationSection, into limits: inout AbuseSettings) {
    root.section("limits") { section in
      section.read("requests_per_second", into: &limits.requestsPerSecond) { $0.number() }
      section.read("burst", into: &limits.burst) { $0.integer(in: 1...1_000_000) }
      section.section("ban") { ban in
        ban.read("failures", into: &limits.banFailures) { $0.integer(in: 0...1_000_000) }
        ban.read("window", into: &limits.banWindow) { $0.span() }
        ban.read("duration", into: &limits.banDuration) { $0.span() }
        ban.read("never", into: &limits.neverBanned) { $0.networks() }
      }
    }
  }
}
