import Testing

@testable import DialplanCheck

struct PatternLanguageTests {
  private func language(_ pattern: String) throws -> PatternLanguage {
    try #require(PatternLanguage(pattern: Array(pattern.utf8)))
  }

  @Test(
    "Lua 5.4 §6.4.1: one pattern takes all that another takes",
    arguments: [
      ("^1%d%d%d$", "^12%d%d$", true), ("^12%d%d$", "^1%d%d%d$", false), ("^9", "^9(%d+)$", true),
      ("^9%d*$", "^9$", true), ("^9%d+$", "^9$", false), (".", "^%a+$", true), ("", "x", true),
      ("^[1-3]%d-$", "^2%d%d$", true),
      ("^[^9]", "^1", true), ("^[^9]", "^%d", false), ("^%+?49(%d+)$", "^49%d%d$", true), ("5$", "^1%d5$", true),
      ("^a.c$", "^abc$", true), ("^%d?%d$", "^%d%d?$", true), ("^[%d*]+$", "^*1*$", true), ("^[%d]+$", "^%a$", false),
      ("^%w+$", "^%S$", false), ("^[]]$", "^%]$", true), ("^x", "^y", false), ("^%d%d-$", "^%d+$", true),
    ])
  func inclusion(wide: String, narrow: String, expected: Bool) throws {
    #expect(try language(wide).includes(language(narrow)) == expected)
  }

  @Test("Two patterns together take what neither takes alone")
  func union() throws {
    var both = PatternLanguage(exactly: Array("100".utf8))
    #expect(both.includes(try language("^10[01]$")) == false)
    both.formUnion(try language("^101"))
    #expect(both.includes(try language("^10[01]$")) == true)
  }

  @Test(
    "What can never be dialled is told",
    arguments: [
      ("^1%d%d%d$", false), ("^1%d %d$", true), ("1^2", true), ("^%c+$", true), ("^%s*1$", false), ("^[^%d]$", false),
    ])
  func never(pattern: String, isEmpty: Bool) throws {
    #expect(try language(pattern).isEmpty(over: PatternLanguage.dialable) == isEmpty)
  }

  @Test("What has no automaton, or is no pattern, is left alone", arguments: ["%b()", "%f[%d]", "^(%d)%1$", "[a", "%"])
  func none(pattern: String) {
    #expect(PatternLanguage(pattern: Array(pattern.utf8)) == nil)
  }

  @Test("A pattern that explodes is given up, not worked out")
  func bounded() throws {
    let wide = try language("1" + String(repeating: "%d", count: 14) + "$")
    #expect(wide.includes(try language("^%d*$")) != true)
  }
}
