import ArgumentParser
import Foundation
import Server

/// What the commands print.
enum Output {
  /// Written at once, so that a trace can be piped.
  static func line(_ text: String) {
    try? FileHandle.standardOutput.write(contentsOf: Data((text + "\n").utf8))
  }

  /// Says what is wrong on standard error.
  /// - Returns: what to throw.
  static func failure(_ text: String, code: Int32 = 1) -> ExitCode {
    try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8))
    return ExitCode(code)
  }

  /// `1:02:03`, `2:03`, `0:03`.
  static func duration(_ seconds: Double) -> String {
    let total = Int(max(0, min(seconds, 1e9)))
    let (hours, minutes, rest) = (total / 3600, total / 60 % 60, total % 60)
    func two(_ n: Int) -> String { n < 10 ? "0\(n)" : "\(n)" }
    return hours > 0 ? "\(hours):\(two(minutes)):\(two(rest))" : "\(minutes):\(two(rest))"
  }
}

/// Columns for people. What peers sent is shown without control characters.
struct TextTable {
  enum Alignment { case left, right }
  private let columns: [(title: String, alignment: Alignment)]
  private var rows: [[String]] = []

  /// Titles; a leading `>` aligns the column to the right.
  init(_ titles: String...) {
    columns = titles.map { $0.hasPrefix(">") ? (String($0.dropFirst()), .right) : ($0, .left) }
  }

  mutating func add(_ cells: String...) { rows.append(cells.map(LogEscape.text)) }

  /// - Parameter empty: What an empty table says instead.
  func print(empty: String) {
    guard !rows.isEmpty else { return Output.line(empty) }
    let widths = columns.indices.map { i in
      rows.reduce(columns[i].title.count) { max($0, i < $1.count ? $1[i].count : 0) }
    }
    for row in [columns.map(\.title)] + rows {
      let cells = zip(row, columns.indices).map { cell, i in
        let padding = String(repeating: " ", count: max(0, widths[i] - cell.count))
        return columns[i].alignment == .right ? padding + cell : cell + padding
      }
      let line = cells.joined(separator: "  ")
      Output.line(String(line.reversed().drop { $0 == " " }.reversed()))
    }
  }
}
