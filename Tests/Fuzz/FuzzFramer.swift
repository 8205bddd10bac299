import SIPMessage

/// A stream: whole, octet by octet, and cut where the input itself says, it gives the same frames and the same end.
func fuzzFramer(_ input: [UInt8]) {
  let whole = frames(of: input, pieces: { _ in Int.max })
  require(frames(of: input, pieces: { _ in 1 }) == whole, "octet by octet")
  var seed = input.reduce(UInt64(input.count)) { ($0 &* 31) &+ UInt64($1) }
  let cut = frames(of: input) { _ in
    seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int(seed >> 33) % 97 + 1
  }
  require(cut == whole, "cut anywhere")
  for case .message(let bytes) in whole.frames { _ = try? MessageParser.parse(bytes, flow: peerFlow) }
}

private struct Outcome: Equatable {
  var frames: [StreamFramer.Frame] = []
  var isBroken = false
}

private func frames(of input: [UInt8], pieces: (Int) -> Int) -> Outcome {
  var framer = StreamFramer()
  var outcome = Outcome()
  var start = 0
  while start < input.count, !outcome.isBroken {
    let end = start + min(max(1, pieces(start)), input.count - start)
    framer.append(input[start..<end])
    start = end
    do {
      while let frame = try framer.next() { outcome.frames.append(frame) }
    } catch {
      outcome.isBroken = true
    }
    require(framer.pending <= 65535 + 97, "what waits is bounded")
  }
  return outcome
}
