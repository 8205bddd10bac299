internal import NetCore

/// The order in which the servers of a service are tried: RFC 2782, "Usage rules".
enum ServiceOrder {
  /// Lowest priority first; those of one priority drawn by weight, without putting back.
  static func order(_ records: [ServiceRecord], using random: inout some RandomNumberGenerator) -> [ServiceRecord] {
    guard records.count > 1 else { return records }
    // Weight 0 stands first, so that it has its small chance.
    var rest = records.sorted { ($0.priority, $0.weight == 0 ? 0 : 1) < ($1.priority, $1.weight == 0 ? 0 : 1) }
    var ordered: [ServiceRecord] = []
    ordered.reserveCapacity(rest.count)
    while let first = rest.first {
      let end = rest.firstIndex { $0.priority != first.priority } ?? rest.endIndex
      let sum = rest[..<end].reduce(0) { $0 + Int($1.weight) }
      let draw = Int.random(in: 0...sum, using: &random)
      var running = 0
      let chosen =
        rest[..<end].firstIndex {
          running += Int($0.weight)
          return running >= draw
        } ?? 0
      ordered.append(rest.remove(at: chosen))
    }
    return ordered
  }

  /// RFC 3403 §4.1 and RFC 3263 §4.1: of the records that we can use, those of the lowest order, by preference.
  static func usable(_ records: [NamingRecord], for query: HopQuery) -> [(record: NamingRecord, transport: Transport)] {
    let found = records.compactMap { record -> (record: NamingRecord, transport: Transport)? in
      guard record.flags == [UInt8(ascii: "s")], !record.hasExpression, record.replacement != nil,
        let transport = transport(of: record.service), query.allows(transport)
      else { return nil }
      return (record, transport)
    }
    guard let order = found.map(\.record.order).min() else { return [] }
    return found.filter { $0.record.order == order }.sorted { $0.record.preference < $1.record.preference }
  }

  private static func transport(of service: [UInt8]) -> Transport? {
    if service.elementsEqual("sip+d2u".utf8) { return .udp }
    if service.elementsEqual("sip+d2t".utf8) { return .tcp }
    if service.elementsEqual("sips+d2t".utf8) { return .tls }
    return nil
  }
}

/// SplitMix64: few bits of state, made anew from one number, the same again in a test.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64
  public init(seed: UInt64) { state = seed }
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
