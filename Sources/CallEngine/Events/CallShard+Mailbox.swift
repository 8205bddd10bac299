import LuaRuntime
import SIPMessage

// `mwi` of scripts: how many voice messages a user has (RFC 3842).
extension CallShard {
  /// `mwi.set(user, {new=, old=, urgent_new=, urgent_old=})`: false for a user whom nobody knows.
  func setMailbox(_ arguments: LuaArguments) -> HostReply {
    guard let user = arguments[0].asBytes, directory.user(user[...]) != nil else {
      return .values([.null, .failure("user", "there is no such user")])
    }
    func count(_ key: StaticString) -> Int { min(max(arguments[1][key].asInt ?? 0, 0), 1_000_000) }
    let box = Mailbox(
      new: count("new"), old: count("old"), urgentNew: count("urgent_new"), urgentOld: count("urgent_old"))
    if services.events.mailboxes.set(user, box) {
      services.events.journal.record([.mailbox(user: user, box)])
      services.events.hub.changed(user, peers: services.peers)
    }
    return .values([.bool(true)])
  }

  func mailbox(_ arguments: LuaArguments) -> HostReply {
    guard let user = arguments[0].asBytes else { return .values([.null]) }
    let box = services.events.mailboxes.get(user)
    return .values([
      .record([
        "new": .integer(Int64(box.new)), "old": .integer(Int64(box.old)), "urgent_new": .integer(Int64(box.urgentNew)),
        "urgent_old": .integer(Int64(box.urgentOld)),
      ])
    ])
  }
}
