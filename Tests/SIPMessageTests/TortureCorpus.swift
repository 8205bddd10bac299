import Foundation
import Testing

/// The messages of RFC 4475 and RFC 5118, and INDEX.tsv, which says what a server does with each. They are found in
/// `$NIGHTJAR_TORTURE`, or in a folder `shared/torture` beside one of the folders that this file is in.
struct TortureCorpus {
  struct Case: Sendable, CustomTestStringConvertible {
    var file: String
    var section: String
    var kind: String
    var method: String
    var preferred: [String]
    var tolerated: [String]
    var bytes: [UInt8]

    var testDescription: String { "\(file) (\(section))" }
    /// Refused by the parser, and not by what comes after it.
    var isMalformed: Bool { TortureCorpus.malformed.keys.contains(file) }
  }

  /// Files that the parser itself refuses, with the status.
  static let malformed: [String: Int] = [
    "badinv01.dat": 400, "clerr.dat": 400, "ncl.dat": 400, "scalar02.dat": 400, "scalarlg.dat": 400,
    "quotbal.dat": 400, "ltgtruri.dat": 400, "lwsruri.dat": 400, "lwsstart.dat": 400, "trws.dat": 400,
    "escruri.dat": 400, "regbadct.dat": 400, "badaspec.dat": 400, "baddn.dat": 400, "badvers.dat": 505,
    "mismatch01.dat": 400, "mismatch02.dat": 501, "bigcode.dat": 400, "badbranch.dat": 400, "insuf.dat": 400,
    "multi01.dat": 400, "mcl01.dat": 400, "test.dat": 400, "baddn_terminated.variant": 400,
    "rfc5118-wire/ipv6-bad": 400,
  ]
  /// Malformed, and yet nobody is there to answer to: responses, and one without a Via.
  static let unanswered: Set<String> = ["scalarlg.dat", "bigcode.dat", "test.dat"]

  static let folder: URL? = {
    if let path = ProcessInfo.processInfo.environment["NIGHTJAR_TORTURE"] { return URL(fileURLWithPath: path) }
    for root in [URL(fileURLWithPath: #filePath), URL(fileURLWithPath: FileManager.default.currentDirectoryPath)] {
      var here = root
      while here.path != "/" {
        here.deleteLastPathComponent()
        let candidate = here.appendingPathComponent("shared/torture")
        if FileManager.default.fileExists(atPath: candidate.appendingPathComponent("INDEX.tsv").path) {
          return candidate
        }
      }
    }
    return nil
  }()

  static let cases: [Case] = {
    guard let folder, let index = try? String(contentsOf: folder.appendingPathComponent("INDEX.tsv"), encoding: .utf8)
    else { return [] }
    return index.split(separator: "\n").dropFirst().compactMap { line in
      let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      guard fields.count >= 10, let data = try? Data(contentsOf: folder.appendingPathComponent(fields[0])) else {
        return nil
      }
      return Case(
        file: fields[0], section: "RFC \(fields[1]) §\(fields[2])", kind: fields[3], method: fields[4],
        preferred: fields[5].split(separator: ",").map(String.init),
        tolerated: fields[6].split(separator: ",").map(String.init), bytes: Array(data))
    }
  }()

  static func named(_ file: String) -> [UInt8]? { cases.first { $0.file == file }?.bytes }
}
