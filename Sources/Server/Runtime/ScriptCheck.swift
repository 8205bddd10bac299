import CallEngine
import DialplanCheck
import Foundation
import LuaRuntime

/// Reads the dialplan without running it: what `nightjar check` tells besides what loading it does.
enum ScriptCheck {
  /// - Parameter name: the script as messages name it.
  static func faults(
    of configuration: ServerConfiguration, script path: String, name: String
  ) throws(LuaFailure) -> [ConfigurationFault] {
    guard let text = FileManager.default.contents(atPath: path) else { return [] }
    let sounds = configuration.dialplan.sounds
    let surroundings = Surroundings(trunks: Set(configuration.trunks.map(\.name))) { file in
      FileManager.default.fileExists(atPath: file.hasPrefix("/") ? file : sounds + "/" + file)
    }
    let folder = (path as NSString).deletingLastPathComponent
    let found = DialplanCheck.faults(
      in: (name, Array(text)), language: try DialplanLoader.language(), surroundings: surroundings
    ) { module in
      // As `require` looks: names of the script's folder downwards.
      let part = module.replacingOccurrences(of: ".", with: "/")
      guard !module.contains(".."), !part.hasPrefix("/") else { return nil }
      for file in [part + ".lua", part + "/init.lua"] {
        if let text = FileManager.default.contents(atPath: folder + "/" + file) { return (file, Array(text)) }
      }
      return nil
    }
    return found.map { fault in
      ConfigurationFault(file: fault.file, line: fault.line, column: fault.column, message: fault.message)
    }
  }
}
