/// One thing that is wrong with the configuration, where a person can find it.
public struct ConfigurationFault: Sendable, Hashable, CustomStringConvertible {
  public var file: String
  /// From 1; 0 when it concerns the file as a whole.
  public var line: Int
  /// From 1, of a fault in a script that has one place; 0 where it is not known.
  public var column: Int
  public var message: String

  public init(file: String, line: Int, column: Int = 0, message: String) {
    self.file = file
    self.line = line
    self.column = column
    self.message = message
  }

  /// `file:line: what is wrong`, with the column behind the line where it is known; one line.
  public var description: String {
    guard line > 0 else { return "\(file): \(message)" }
    return column > 0 ? "\(file):\(line):\(column): \(message)" : "\(file):\(line): \(message)"
  }
}

/// All that is wrong with the configuration, in the order of the file.
public struct ConfigurationError: Error, Sendable, CustomStringConvertible {
  public var faults: [ConfigurationFault]
  public init(faults: [ConfigurationFault]) { self.faults = faults }
  public init(file: String, _ message: String) {
    self.init(faults: [ConfigurationFault(file: file, line: 0, message: message)])
  }
  /// A line a fault.
  public var description: String { faults.map(\.description).joined(separator: "\n") }

  /// One line for a log or a daemon that gives up: the first fault, and how many more there are.
  public var summary: String {
    guard let first = faults.first else { return "the configuration is invalid" }
    let more = faults.count - 1
    return more == 0 ? first.description : "\(first) (and \(more) more; `nightjar check` lists them)"
  }
}
