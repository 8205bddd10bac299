extension DialTree.Shape {
  /// What a hunt remembers a member by. A trunk is itself whatever number is dialled through it.
  var huntKey: [UInt8] {
    switch self {
    case .target(let target): target.huntKey
    case .parallel(let shapes), .sequence(let shapes, _), .hunt(_, let shapes, _):
      Array("(".utf8) + shapes.flatMap { $0.huntKey + [0] } + Array(")".utf8)
    }
  }

  /// The same with targets whose legs are counted, but for trunks, which count all their calls.
  func counted() -> DialTree.Shape {
    switch self {
    case .target(var target):
      if !target.isTrunk { target.counted = target.huntKey }
      return .target(target)
    case .parallel(let shapes): return .parallel(shapes.map { $0.counted() })
    case .sequence(let shapes, let rule): return .sequence(shapes.map { $0.counted() }, failover: rule)
    case .hunt(let hunt, let shapes, let rule): return .hunt(hunt, shapes.map { $0.counted() }, failover: rule)
    }
  }
}

extension DialTarget {
  var huntKey: [UInt8] {
    if case .trunk(let trunk, _) = place { return Array("trunk/\(trunk)".utf8) }
    return name
  }
}
