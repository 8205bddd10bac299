import NetCore
import SIPTransaction

extension EngineSettings {
  /// The TCP listeners that requests leave by which are too long for UDP: the first of each family.
  var largeRequestStreams: [LargeRequests.Stream] {
    [IPAddress.Family.v4, .v6].compactMap { family in
      listener(for: .tcp, family: family).map { index in
        .init(listener: UInt8(index), local: listeners[index].local, sentBy: listeners[index].sentBy)
      }
    }
  }
}
