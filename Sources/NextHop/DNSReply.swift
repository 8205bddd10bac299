internal import NetCore

extension DNSAnswer {
  /// Records of one kind that are kept of an answer; those behind them are left out.
  static let maxRecords = 64

  /// What a DNS message answers to a question (RFC 1035 §4). Whatever is wrong with it is `refused`: a server's mistake,
  /// or somebody's attempt, is no reason to believe half of it.
  ///
  /// Aliases are followed within the answer; only the answer section is believed, and of the authority section the SOA
  /// that says how long nothing is nothing (RFC 2308 §3).
  public init(to question: DNSQuestion, in message: [UInt8]) {
    var reader = DNSReader(bytes: message)
    self = reader.answer(to: question) ?? .refused
  }
}

/// A place in a DNS message. Reading beyond the end gives nil.
struct DNSReader {
  let bytes: [UInt8]
  var offset = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  private enum Kind {
    static let alias: UInt16 = 5
    static let authority: UInt16 = 6
    static let internet: UInt16 = 1
  }

  /// A name as it stands in a message.
  enum Name: Equatable {
    case root
    case name(DNSName)
    /// With octets that no host name has: nobody asks for it, so nothing follows from it.
    case odd

    var domain: DNSName? { if case .name(let name) = self { name } else { nil } }
  }

  private struct Record {
    var owner: Name
    var kind: UInt16
    var ttl: UInt32
    var data: Range<Int>
  }

  mutating func answer(to question: DNSQuestion) -> DNSAnswer? {
    guard skip(2), let flags = integer16(), let questions = integer16(), let answers = integer16(),
      let authorities = integer16(), skip(2)
    else { return nil }
    // A response, whole (TC: RFC 2181 §9), with one question.
    guard flags & 0x8000 != 0, flags & 0x0200 == 0, questions == 1, name() != nil, skip(4) else { return nil }
    let code = flags & 0xf
    guard code == 0 || code == 3 else { return nil }

    var records: [Record] = []
    var aliases: [DNSName: (name: DNSName, ttl: UInt32)] = [:]
    for _ in 0..<answers {
      guard let record = record() else { return nil }
      guard let record, let owner = record.owner.domain else { continue }
      if record.kind == Kind.alias {
        guard let target = target(at: record.data) else { return nil }
        if let target = target.domain, aliases.count < DNSAnswer.maxRecords { aliases[owner] = (target, record.ttl) }
      } else if record.kind == question.kind.rawValue {
        records.append(record)
      }
    }
    var wanted = question.name
    var ttl = UInt32.max
    var steps = 0
    while let alias = aliases[wanted] {
      steps += 1
      guard steps <= HopWalk.maxAliases else { return nil }
      wanted = alias.name
      ttl = min(ttl, alias.ttl)
    }
    let found = records.filter { $0.owner == .name(wanted) }.prefix(DNSAnswer.maxRecords)
    if code == 0, let first = found.first {
      ttl = found.reduce(min(ttl, first.ttl)) { min($0, $1.ttl) }
      return content(of: Array(found), question.kind).map { DNSAnswer($0, ttl: ttl) }
    }
    for _ in 0..<authorities {
      guard let record = record() else { return nil }
      guard let record, record.kind == Kind.authority, let minimum = minimum(at: record.data) else { continue }
      return DNSAnswer(.nothing, ttl: min(ttl, record.ttl, minimum))
    }
    // No word that the alias leads nowhere: ask for it by name.
    if code == 0, steps > 0 { return DNSAnswer(.alias(wanted), ttl: ttl) }
    return DNSAnswer(.nothing, ttl: 0)
  }

  /// The next record; nil inside for one of another class.
  private mutating func record() -> Record?? {
    guard let owner = name(), let kind = integer16(), let group = integer16(), let high = integer16(),
      let low = integer16(), let length = integer16()
    else { return nil }
    let start = offset
    guard skip(Int(length)) else { return nil }
    guard group == Kind.internet else { return .some(nil) }
    // RFC 2181 §8: what looks negative is 0.
    let ttl = high & 0x8000 != 0 ? 0 : UInt32(high) << 16 | UInt32(low)
    return Record(owner: owner, kind: kind, ttl: ttl, data: start..<offset)
  }

  private func content(of records: [Record], _ kind: DNSQuestion.Kind) -> DNSAnswer.Content? {
    var addresses: [IPAddress] = []
    var services: [ServiceRecord] = []
    var names: [NamingRecord] = []
    for record in records {
      var data = DNSReader(bytes: bytes)
      data.offset = record.data.lowerBound
      switch kind {
      case .a, .aaaa:
        guard let ip = data.address(record.data.count), (ip.family == .v4) == (kind == .a) else { return nil }
        addresses.append(ip)
      case .srv:
        guard let service = data.service(), data.offset == record.data.upperBound else { return nil }
        if let service { services.append(service) }
      case .naptr:
        guard let name = data.naming(), data.offset == record.data.upperBound else { return nil }
        if let name { names.append(name) }
      }
    }
    switch kind {
    case .a, .aaaa: return .addresses(addresses)
    case .srv: return .services(services)
    case .naptr: return .names(names)
    }
  }

  // MARK: data

  private mutating func address(_ length: Int) -> IPAddress? {
    guard let words = words(length / 4) else { return nil }
    switch length {
    case 4: return IPAddress(v4: words[0])
    case 16:
      return IPAddress(high: UInt64(words[0]) << 32 | UInt64(words[1]), low: UInt64(words[2]) << 32 | UInt64(words[3]))
    default: return nil
    }
  }

  private mutating func words(_ count: Int) -> [UInt32]? {
    var words: [UInt32] = []
    for _ in 0..<count {
      guard let high = integer16(), let low = integer16() else { return nil }
      words.append(UInt32(high) << 16 | UInt32(low))
    }
    return words
  }

  /// RFC 2782. Nil inside: a target that is no host.
  private mutating func service() -> ServiceRecord?? {
    guard let priority = integer16(), let weight = integer16(), let port = integer16(), let target = name() else {
      return nil
    }
    if target == .odd { return .some(nil) }
    return ServiceRecord(priority: priority, weight: weight, port: port, target: target.domain)
  }

  /// RFC 3403 §4.1.
  private mutating func naming() -> NamingRecord?? {
    guard let order = integer16(), let preference = integer16(), let flags = text(), let service = text(),
      let expression = text(), let replacement = name()
    else { return nil }
    if replacement == .odd { return .some(nil) }
    return NamingRecord(
      order: order, preference: preference, flags: flags, service: service, hasExpression: !expression.isEmpty,
      replacement: replacement.domain)
  }

  private func target(at data: Range<Int>) -> Name? {
    var reader = DNSReader(bytes: bytes)
    reader.offset = data.lowerBound
    guard let name = reader.name(), reader.offset == data.upperBound else { return nil }
    return name
  }

  /// The last field of an SOA (RFC 1035 §3.3.13).
  private func minimum(at data: Range<Int>) -> UInt32? {
    var reader = DNSReader(bytes: bytes)
    reader.offset = data.lowerBound
    guard reader.name() != nil, reader.name() != nil, let words = reader.words(5), reader.offset == data.upperBound
    else { return nil }
    return words[4] > 0x7fff_ffff ? 0 : words[4]
  }

  // MARK: octets

  private mutating func skip(_ count: Int) -> Bool {
    guard count <= bytes.count - offset else { return false }
    offset += count
    return true
  }

  private mutating func integer16() -> UInt16? {
    guard bytes.count - offset >= 2 else { return nil }
    defer { offset += 2 }
    return UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
  }

  /// A character string in lower case (RFC 1035 §3.3).
  private mutating func text() -> [UInt8]? {
    guard offset < bytes.count else { return nil }
    let length = Int(bytes[offset])
    guard length < bytes.count - offset else { return nil }
    defer { offset += length + 1 }
    return bytes[(offset + 1)..<(offset + 1 + length)].map { $0 >= 0x41 && $0 <= 0x5a ? $0 | 0x20 : $0 }
  }

  /// RFC 1035 §4.1.4. A pointer leads to what stands before the name, so each jump goes back and none goes round.
  mutating func name() -> Name? {
    var octets: [UInt8] = []
    var isOdd = false
    var at = offset
    var limit = offset
    var end: Int?
    while true {
      guard at < bytes.count else { return nil }
      let length = Int(bytes[at])
      if length == 0 {
        offset = end ?? at + 1
        break
      }
      switch length & 0xc0 {
      case 0:
        guard length < bytes.count - at else { return nil }
        let label = bytes[(at + 1)...(at + length)]
        if label.contains(UInt8(ascii: ".")) { isOdd = true }
        if !octets.isEmpty { octets.append(UInt8(ascii: ".")) }
        octets += label
        guard octets.count <= 254 else { return nil }
        at += length + 1
      case 0xc0:
        guard at + 1 < bytes.count else { return nil }
        let to = (length & 0x3f) << 8 | Int(bytes[at + 1])
        guard to < limit else { return nil }
        end = end ?? at + 2
        limit = to
        at = to
      default: return nil
      }
    }
    if octets.isEmpty { return .root }
    guard !isOdd, let name = DNSName(octets) else { return .odd }
    return .name(name)
  }
}
