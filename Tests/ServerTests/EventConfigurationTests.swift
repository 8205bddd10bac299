import CallEngine
import Testing

@testable import Server

@Suite("Configuration: events")
struct EventConfigurationTests {
  private func read(_ text: String) throws -> ServerConfiguration {
    try ConfigurationReader.read(text: text, file: "nightjar.yaml", directory: "/etc/nightjar")
  }

  @Test("every key of events is taken over; without them the defaults hold")
  func keys() throws {
    #expect(try read("").events == EventSettings())
    let events = try read(
      """
      events:
        min_expires: 30
        max_expires: 900
        max_subscriptions: 7
        message_size: 1000
        stored_messages: 0
        keep_days: 30
      """
    ).events
    var expected = EventSettings()
    expected.minExpires = 30
    expected.maxExpires = 900
    expected.maxSubscriptions = 7
    expected.messageSize = 1000
    expected.storedMessages = 0
    expected.keepDays = 30
    #expect(events == expected)
  }

  @Test(
    "what is wrong is told with file and line",
    arguments: [
      ("events:\n  min_expire: 1", "nightjar.yaml:2: events.min_expire: unknown key; did you mean \"min_expires\"?"),
      ("events:\n  keep_days: 0", "nightjar.yaml:2: events.keep_days"),
      ("events:\n  message_size: 70000", "nightjar.yaml:2: events.message_size"),
      ("events:\n  min_expires: 100\n  max_expires: 50", "min_expires (100) is more than max_expires (50)"),
    ])
  func faults(text: String, fault: String) throws {
    do {
      _ = try read(text)
      Issue.record("it was accepted")
    } catch let error as ConfigurationError {
      #expect(error.description.contains(fault), "\(error)")
    }
  }
}
