/// The operations between the telephony prelude (`Lua/*.lua`) and the engine. The raw value is the number that crosses.
public enum HostOperation: Int32, CaseIterable, Sendable {
  // Answered at once.
  case field, header_get, header_all, header_set, header_add, header_remove, var_set
  case kv_get, kv_set, kv_incr, kv_cas, kv_delete
  case log, now, uuid, on_hangup, spawn, trunk_get, trunk_list
  // Waiting verbs: the coroutine yields, the engine resumes it.
  case ring, progress, answer, dial, reject, hangup, play, tone, echo, wait, sleep, refer, refer_decided

  /// In the order of their numbers, as `LuaVM` wants them.
  public static let names: [String] = allCases.map { "\($0)" }
}
