/// The dialplan language as the checks of the runtime know it: made from the same table, so that the two cannot differ.
public struct Language: Sendable {
  /// An option, or an argument by position.
  public struct Option: Sendable {
    public var name: String
    /// A type of the runtime's checks: "seconds", "files", "ringback" …
    public var type: String
    /// The values that are allowed; nil: any of the type.
    public var values: [String]?
    public var minimum: Double?
    public var maximum: Double?
    /// Named in the language, not built yet.
    public var isLater: Bool
    /// Of an argument: the options may stand in its place.
    public var isOptional: Bool

    public init(
      name: String, type: String, values: [String]? = nil, minimum: Double? = nil, maximum: Double? = nil,
      isLater: Bool = false, isOptional: Bool = false
    ) {
      self.name = name
      self.type = type
      self.values = values
      self.minimum = minimum
      self.maximum = maximum
      self.isLater = isLater
      self.isOptional = isOptional
    }
  }

  public struct Verb: Sendable {
    public var arguments: [Option]
    /// Nil: it takes no table of options.
    public var options: [Option]?
    public var isLater: Bool

    public init(arguments: [Option] = [], options: [Option]? = nil, isLater: Bool = false) {
      self.arguments = arguments
      self.options = options
      self.isLater = isLater
    }
  }

  public var verbs: [String: Verb] = [:]
  /// Fields of a call, and what they are: "string", or the name of one of `parts`.
  public var fields: [String: String] = [:]
  /// Tables with known fields: "address", "source", "result" …
  public var parts: [String: Set<String>] = [:]
  /// Options of one target of a dial, and of `seq` and `hunt`.
  public var target: [Option] = []
  public var groups: [String: [Option]] = [:]
  public var handlers: Set<String> = []
  public var laterHandlers: Set<String> = []
  /// Every global of a script; with its members where it is a table.
  public var globals: [String: Set<String>?] = [:]
  public var laterGlobals: Set<String> = []
  /// Names of Q.850 causes.
  public var causes: Set<String> = []

  public init() {}
}

/// What the configuration knows and a script names.
public struct Surroundings: Sendable {
  /// Whether there is a sound file of that name.
  public var hasSound: @Sendable (String) -> Bool
  public var trunks: Set<String>

  public init(trunks: Set<String>, hasSound: @escaping @Sendable (String) -> Bool) {
    self.trunks = trunks
    self.hasSound = hasSound
  }
}
