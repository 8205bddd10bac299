import ArgumentParser
import Server

struct User: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "The users of the database.",
    discussion: "Changes are effective at once where the server runs, and are kept for its start where it does not.",
    subcommands: [Add.self, List.self, Remove.self, Password.self])

  /// The password that was given, read or made.
  struct PasswordOption: ParsableArguments {
    @Option(help: "A dash reads it from standard input; without this option one is made and printed.")
    var password: String?

    func resolve() throws -> (password: String, isGenerated: Bool) {
      switch password {
      case nil: return (GeneratedPassword.make(), true)
      case "-":
        guard let line = readLine(strippingNewline: true) else { throw Output.failure("no password on standard input") }
        return (line, false)
      case let given?: return (given, false)
      }
    }
  }

  struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Add a user.")
    @Argument var name: String
    @OptionGroup var password: PasswordOption
    @Option(help: "The dialplan context of his calls.")
    var context = "internal"
    @Option(help: "The name that those he calls see.")
    var callerName: String?
    @Option(help: "The number that those he calls see.")
    var callerNumber: String?
    @OptionGroup var options: ClientOptions

    func run() async throws {
      let (password, isGenerated) = try password.resolve()
      let user = NewUser(
        name: name, password: password, context: context, callerName: callerName, callerNumber: callerNumber)
      try await User.change(.userAdd(user), options, generated: isGenerated ? password : nil)
    }
  }

  struct Password: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "passwd", abstract: "Give a user another password.")
    @Argument var name: String
    @OptionGroup var password: PasswordOption
    @OptionGroup var options: ClientOptions

    func run() async throws {
      let (password, isGenerated) = try password.resolve()
      let command = ControlCommand.userPassword(name: name, password: password)
      try await User.change(command, options, generated: isGenerated ? password : nil)
    }
  }

  struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Remove a user.")
    @Argument var name: String
    @OptionGroup var options: ClientOptions

    func run() async throws { try await User.change(.userRemove(name: name), options, generated: nil) }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "All users, those of the configuration file too.")
    @OptionGroup var options: ClientOptions

    func run() async throws {
      let users = try await User.perform(.userList, options).users ?? []
      if options.json { return Output.line(ControlJSON.pretty(users)) }
      var table = TextTable("NAME", "CONTEXT", "CALLER NAME", "CALLER NUMBER", "KEPT IN")
      for user in users {
        table.add(user.name, user.context, user.callerName ?? "", user.callerNumber ?? "", user.origin)
      }
      table.print(empty: "no users")
    }
  }

  private static func change(_ command: ControlCommand, _ options: ClientOptions, generated: String?) async throws {
    let reply = try await perform(command, options)
    if options.json {
      // The only time that it is shown.
      return Output.line(ControlJSON.pretty(Changed(ok: true, message: reply.message, password: generated)))
    }
    Output.line(reply.message ?? "done")
    if let generated { Output.line("password: \(generated)") }
  }

  private struct Changed: Encodable {
    var ok: Bool
    var message: String?
    var password: String?
  }

  /// Through the control socket where the server runs, else on its database.
  private static func perform(_ command: ControlCommand, _ options: ClientOptions) async throws -> ControlReply {
    if options.socket != nil { return try await options.ask(command) }
    let configuration = try options.configuration.load()
    let client = ControlClient(path: configuration.control.socket)
    do {
      return try options.accept(await client.send(command))
    } catch ControlClient.Failure.notRunning {
      do {
        return try options.accept(await UserAdministration.performDirectly(command, configuration: configuration))
      } catch let refusal as ExitCode {
        throw refusal
      } catch {
        throw Output.failure(LogEscape.text("\(error)"))
      }
    } catch let failure as ControlClient.Failure {
      throw Output.failure("\(failure)")
    }
  }
}
