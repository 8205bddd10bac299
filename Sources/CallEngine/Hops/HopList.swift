import NetCore

/// The servers of a leg's target that are still to be tried: only where DNS gave several, and until one has answered.
final class HopList {
  var others: [Flow]
  /// Which one is being tried, from 1.
  var number: UInt8 = 1
  /// It has said something, if only 100.
  var isHeard = false

  init(_ others: [Flow]) { self.others = others }
}
