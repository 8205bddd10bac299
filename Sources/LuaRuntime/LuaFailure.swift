/// Limits of one machine and of each call (group) in it.
public struct LuaLimits: Sendable {
  /// Bytes of the whole machine; past them the call that holds the most is ended.
  public var memoryBytes = 64 << 20
  /// Bytes that one call may hold.
  public var callMemoryBytes = 8 << 20
  /// Thread CPU after which a task yields its turn.
  public var burst = Duration.milliseconds(5)
  /// Thread CPU that one call may use in all.
  public var callCPU = Duration.milliseconds(250)
  /// Thread CPU that a prelude or the script may use to load.
  public var loadCPU = Duration.seconds(2)
  /// Tasks alive in one call.
  public var tasksPerCall = 100

  public init() {}
}

/// Why a script, or a step of it, came to nothing.
public struct LuaFailure: Error, Sendable, Equatable {
  public enum Kind: Sendable, Equatable {
    case syntax
    /// The script raised an error and caught it nowhere.
    case runtime
    /// Over ``LuaLimits/callCPU``, or ``LuaLimits/loadCPU`` while loading.
    case cpuLimit
    /// Over ``LuaLimits/callMemoryBytes``, or chosen to end when the machine was full.
    case memoryLimit
    /// Over ``LuaLimits/tasksPerCall``.
    case taskLimit
    /// No such entry, or a task that is gone.
    case notFound
  }

  public var kind: Kind
  /// `dialplan.lua:12: what is wrong`; without the position where there is none.
  public var message: String
  public var file: String?
  public var line: Int?
  /// The author's frames, the innermost first, a line each; empty where there are none.
  public var traceback: String

  public init(kind: Kind, message: String, traceback: String = "") {
    self.kind = kind
    self.message = message
    self.traceback = traceback
    (file, line) = LuaFailure.position(in: message)
  }

  /// Takes `file:line` off the front of a message.
  static func position(in message: String) -> (file: String?, line: Int?) {
    let text = Array(message.utf8.prefix(512))
    var colon = 0
    while let next = text[colon...].firstIndex(of: UInt8(ascii: ":")) {
      let digits = text[(next + 1)...].prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
      let end = next + 1 + digits.count
      if next > 0, !digits.isEmpty, end < text.count, text[end] == UInt8(ascii: ":"),
        let line = Int(String(decoding: digits, as: UTF8.self))
      {
        return (String(decoding: text[..<next], as: UTF8.self), line)
      }
      colon = next + 1
    }
    return (nil, nil)
  }

  /// Drops the frames of preludes and of C, which tell the author nothing.
  static func authorFrames(_ trace: String) -> String {
    trace.split(separator: "\n").filter { line in
      line.hasPrefix("\t") && !line.hasPrefix("\t[nightjar]") && !line.hasPrefix("\t[C]: in ?")
        && !line.hasPrefix("\t(...tail")
    }.drop { $0.hasPrefix("\t[C]:") }.map { String($0.dropFirst()) }.joined(separator: "\n")
  }
}

extension LuaFailure: CustomStringConvertible {
  public var description: String { traceback.isEmpty ? message : "\(message)\n\(traceback)" }
}
