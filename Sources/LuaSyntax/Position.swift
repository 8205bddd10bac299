/// A place in a source: both numbers from 1, the column in octets.
public struct Position: Hashable, Comparable, Sendable {
  public var line: Int
  public var column: Int

  public init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }

  public static func < (a: Position, b: Position) -> Bool { (a.line, a.column) < (b.line, b.column) }
}

/// What makes a source no Lua 5.4 chunk (Lua 5.4 manual §3).
public struct SyntaxError: Error, Equatable, Sendable {
  public var message: String
  public var at: Position

  public init(_ message: String, at: Position) {
    self.message = message
    self.at = at
  }
}
