import Glibc
import NetCore
import SIPMessage

/// libFuzzer's door. `NIGHTJAR_FUZZ` names what is fuzzed; `Scripts/fuzz` builds and runs it. A property that does not
/// hold ends the process, and libFuzzer keeps the input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ octets: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: octets, count: count))
  subject(input)
  return 0
}

/// By name; chosen once.
private let subject: @Sendable ([UInt8]) -> Void = {
  let name = getenv("NIGHTJAR_FUZZ").map { String(cString: $0) } ?? ""
  switch name {
  case "message": return fuzzMessage
  case "framer": return fuzzFramer
  case "uri": return fuzzURI
  case "sdp": return fuzzSDP
  case "digest": return fuzzDigest
  default: fatalError("NIGHTJAR_FUZZ is message, framer, uri, sdp or digest")
  }
}()

/// What must hold whatever a peer sends.
func require(_ condition: Bool, _ what: @autoclosure () -> String) {
  if !condition { fatalError("does not hold: \(what())") }
}

func text(_ octets: some Sequence<UInt8>) -> String { String(decoding: Array(octets), as: UTF8.self) }

let peerFlow = Flow(
  transport: .udp, listener: 0, remote: Endpoint(IPAddress(v4: 0x7f00_0002), 40000),
  local: Endpoint(IPAddress(v4: 0x7f00_0001), 5060))
