public import LuaSyntax

/// Something in a dialplan that cannot work.
public struct DialplanFault: Equatable, Sendable {
  public var file: String
  public var at: Position
  public var message: String
  public var line: Int { at.line }
  public var column: Int { at.column }

  public init(file: String, at: Position, message: String) {
    self.file = file
    self.at = at
    self.message = message
  }
}

/// Reads a dialplan without running it and tells every mistake that can be told so: names that the language does not
/// have, options of wrong kinds, routes that nothing reaches, files and trunks that are not there. It says nothing where
/// it cannot be sure.
public enum DialplanCheck {
  /// - Parameters:
  ///   - main: the script's name and text.
  ///   - module: the name and text of a module, by the name that `require` is given; nil: there is none.
  /// - Returns: in the order of files and lines.
  public static func faults(
    in main: (file: String, text: [UInt8]), language: Language, surroundings: Surroundings,
    module: (String) -> (file: String, text: [UInt8])?
  ) -> [DialplanFault] {
    var faults: [DialplanFault] = []
    var chunks: [(file: String, chunk: Function)] = []
    var waiting = [main]
    var seen: Set<String> = [main.file]
    while !waiting.isEmpty {
      let source = waiting.removeFirst()
      do {
        let chunk = try Parser.parse(source.text)
        chunks.append((source.file, chunk))
        for name in required(by: chunk) {
          if let found = module(name), seen.insert(found.file).inserted { waiting.append(found) }
        }
      } catch {
        faults.append(DialplanFault(file: source.file, at: error.at, message: error.message))
      }
    }
    let knowledge = Knowledge(chunks.map(\.chunk), language: language)
    // A module that cannot be read may make any global.
    let isWhole = faults.isEmpty
    var handlers: [String: (file: String, at: Position)] = [:]
    for (file, chunk) in chunks {
      var checker = Checker(
        file: file, knowledge: knowledge, surroundings: surroundings, knowsGlobals: isWhole, handlers: handlers)
      checker.check(chunk)
      faults += checker.faults.sorted { $0.at < $1.at }
      handlers = checker.handlers
    }
    return faults
  }

  private static func required(by chunk: Function) -> [String] {
    var names: [String] = []
    var walker = Walker()
    walker.expression = { expression, _ in
      if case .call(let callee, let arguments) = expression.kind, case .global("require") = callee.kind,
        let name = arguments.first?.text
      {
        names.append(name)
      }
    }
    walker.walk(chunk)
    return names
  }
}
