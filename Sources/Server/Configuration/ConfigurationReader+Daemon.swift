import NetCore

extension ConfigurationReader {
  /// `sun_path` has 108 octets with its NUL (unix(7)).
  static let maxSocketPath = 107

  static func readDaemon(_ root: ConfigurationSection, into configuration: inout ServerConfiguration) {
    root.section("storage") { section in
      section.read("url", into: &configuration.storage.database) { database($0) }
    }
    root.section("records") { section in
      section.readOptional("csv", into: &configuration.records.csv) { $0.filePath() }
      section.readOptional("json", into: &configuration.records.json) { $0.filePath() }
      section.read("keep_days", into: &configuration.records.keepDays) { $0.integer(in: 0...36500) }
      if let csv = configuration.records.csv, csv == configuration.records.json {
        section.place.fail("csv and json name the same file")
      }
    }
    root.section("control") { section in
      section.read("socket", into: &configuration.control.socket) { value in
        guard let path = value.filePath() else { return nil }
        guard path.utf8.count <= maxSocketPath else {
          value.fail("\(path) is longer than the \(maxSocketPath) octets that a socket's path may have")
          return nil
        }
        return path
      }
      section.readOptional("http", into: &configuration.control.http) { value in
        guard let text = value.text() else { return nil }
        guard let endpoint = Endpoint(text) else {
          value.fail("\"\(text)\" is not ADDRESS:PORT, such as 127.0.0.1:8080")
          return nil
        }
        return endpoint
      }
      section.later("http", unless: configuration.control.http == nil, "the HTTP interface")
    }
    root.section("log") { section in
      section.read("level", into: &configuration.log.level) { value in
        value.word(of: ServerConfiguration.Log.Level.allCases.map(\.rawValue), what: "level")
          .flatMap { .init(rawValue: $0) }
      }
      section.read("format", into: &configuration.log.format) { value in
        value.word(of: ServerConfiguration.Log.Format.allCases.map(\.rawValue), what: "format")
          .flatMap { .init(rawValue: $0) }
      }
    }
  }

  private static func database(_ value: ConfigurationValue) -> ServerConfiguration.Storage.Database? {
    guard let text = value.text() else { return nil }
    guard text.hasPrefix("sqlite:"), text.count > 7 else {
      value.fail("\"\(text)\" is not sqlite:PATH")
      return nil
    }
    let path = String(text.dropFirst(7))
    return path == ":memory:" ? .memory : .file(ServerConfiguration.path(path, in: value.context.directory))
  }
}
