import LuaRuntime

/// Strings that the host says to scripts again and again, most of them names of fields: they cross as a number, and the
/// VM has them already. The raw value is the number.
enum HostName: UInt8, CaseIterable, Sendable {
  case uri, user, host, port, display, params, ip, transport, trunk, codecs
  case ok, status, cause, cause_name, by, reason, ended_by, answered_by, setup_ms, ring_ms, duration, attempts
  case target, provisional, early_media, ms, contacts
  case kind, side, message
  case name, up, calls, registered, rtt, max_calls, expires, problem
  case remote, timeout, caller, callee, system, hangup, udp, tcp

  /// In the order of their numbers, as `LuaVM` wants them.
  static let names: [String] = allCases.map { "\($0)" }
}

extension LuaWriter {
  func name(_ name: HostName) { self.name(name.rawValue) }

  func field(_ name: HostName, _ value: Int) {
    self.name(name)
    integer(value)
  }
  func field(_ name: HostName, _ value: Bool) {
    self.name(name)
    bool(value)
  }
  func field(_ name: HostName, _ value: Double) {
    self.name(name)
    number(value)
  }
  func field(_ name: HostName, _ value: [UInt8]) {
    self.name(name)
    string(value)
  }
  func field(_ name: HostName, text value: String) {
    self.name(name)
    text(value)
  }
  func field(_ name: HostName, _ value: HostName) {
    self.name(name)
    self.name(value)
  }
}
