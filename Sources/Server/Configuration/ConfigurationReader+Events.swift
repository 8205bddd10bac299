import CallEngine

extension ConfigurationReader {
  static func readEvents(_ root: ConfigurationSection, into events: inout EventSettings) {
    root.section("events") { section in
      section.read("min_expires", into: &events.minExpires) { $0.integer(in: 0...86400) }
      section.read("max_expires", into: &events.maxExpires) { $0.integer(in: 1...31_536_000) }
      section.read("max_subscriptions", into: &events.maxSubscriptions) { $0.integer(in: 1...100_000) }
      section.read("message_size", into: &events.messageSize) { $0.integer(in: 0...60_000) }
      section.read("stored_messages", into: &events.storedMessages) { $0.integer(in: 0...10_000) }
      section.read("keep_days", into: &events.keepDays) { $0.integer(in: 1...365) }
      if events.minExpires > events.maxExpires {
        section.place.fail("min_expires (\(events.minExpires)) is more than max_expires (\(events.maxExpires))")
      }
    }
  }
}
