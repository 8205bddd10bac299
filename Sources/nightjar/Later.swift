import ArgumentParser

// Commands whose names are kept for what comes with a later release.

private func comesLater(_ command: String) -> ExitCode {
  Output.failure("nightjar \(command) comes with a later release", code: 2)
}

struct Console: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "A live console (comes with a later release).")
  @Argument(parsing: .captureForPassthrough) var rest: [String] = []
  func run() async throws { throw comesLater("console") }
}

struct Explain: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "What the dialplan would do with a call (comes with a later release).")
  @Argument(parsing: .captureForPassthrough) var rest: [String] = []
  func run() async throws { throw comesLater("explain") }
}

struct Test: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run the tests of a dialplan (comes with a later release).")
  @Argument(parsing: .captureForPassthrough) var rest: [String] = []
  func run() async throws { throw comesLater("test") }
}
