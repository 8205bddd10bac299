import CallEngine
import NetCore
import Testing

@testable import Server

@Suite("Configuration: limits")
struct LimitsConfigurationTests {
  private func read(_ text: String) throws -> ServerConfiguration {
    try ConfigurationReader.read(text: text, file: "n.yaml", directory: "/etc/nightjar")
  }

  @Test("every key, and what reaches the engine")
  func all() throws {
    let c = try read(
      """
      limits:
        requests_per_second: 2.5
        burst: 7
        ban: {failures: 3, window: 10, duration: 20, never: [10.0.0.0/8, "2001:db8::1"]}
      """)
    #expect(c.limits.requestsPerSecond == 2.5 && c.limits.burst == 7 && c.limits.banFailures == 3)
    #expect(c.limits.banWindow == .seconds(10 as Int64) && c.limits.banDuration == .seconds(20 as Int64))
    #expect(c.limits.neverBanned == [SourceNetwork("10.0.0.0/8"), SourceNetwork("2001:db8::1")].compactMap(\.self))
    #expect(EnginePlan.settings(c, listeners: []).abuse == c.limits)
    #expect(try read("limits:").limits == AbuseSettings())
    // A reload takes all of it.
    #expect(try read("").keysNeedingRestart(toBecome: c).isEmpty)
  }

  @Test(
    "what is wrong is said with its line",
    arguments: [
      ("limits:\n  burst: 0", "n.yaml:2: limits.burst: 0 is out of range; 1 to 1000000"),
      ("limits:\n  requests_per_second: -1", "n.yaml:2: limits.requests_per_second: -1 is out of range; 0 to 1000000"),
      ("limits:\n  ban:\n    failure: 1", "n.yaml:3: limits.ban.failure: unknown key; did you mean \"failures\"?"),
      ("limits: {ban: 5}", "n.yaml:1: limits.ban: a group of keys is expected, not 5"),
    ])
  func faults(text: String, fault: String) {
    do {
      _ = try read(text)
      #expect(Bool(false), "no fault")
    } catch let error as ConfigurationError {
      #expect(error.faults.map(\.description) == [fault])
    } catch {
      #expect(Bool(false), "\(error)")
    }
  }
}
