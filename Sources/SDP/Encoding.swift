/// The encoding name of a payload format, compared without regard to case (RFC 8866 §6.6). Those that this server has
/// to know, or that phones send every day, have a case; of any other the name is kept where it was read.
public enum Encoding: UInt8, Sendable, CaseIterable {
  case pcmu, pcma, g722, g729, opus, telephoneEvent, comfortNoise
  case gsm, g723, dvi4, lpc, l16, qcelp, mpa, g728, ilbc, speex
  case amr, amrWB, g7221, g719, siren7, siren14, mpeg4Generic, mp4aLATM
  case red, rtx, ulpfec, parityfec, flexfec, t140
  case other

  /// The registered spelling: some phones know no other. Empty for `other`.
  var written: StaticString {
    switch self {
    case .pcmu: "PCMU"
    case .pcma: "PCMA"
    case .g722: "G722"
    case .g729: "G729"
    case .opus: "opus"
    case .telephoneEvent: "telephone-event"
    case .comfortNoise: "CN"
    case .gsm: "GSM"
    case .g723: "G723"
    case .dvi4: "DVI4"
    case .lpc: "LPC"
    case .l16: "L16"
    case .qcelp: "QCELP"
    case .mpa: "MPA"
    case .g728: "G728"
    case .ilbc: "iLBC"
    case .speex: "speex"
    case .amr: "AMR"
    case .amrWB: "AMR-WB"
    case .g7221: "G7221"
    case .g719: "G719"
    case .siren7: "SIREN7"
    case .siren14: "SIREN14"
    case .mpeg4Generic: "mpeg4-generic"
    case .mp4aLATM: "MP4A-LATM"
    case .red: "red"
    case .rtx: "RTX"
    case .ulpfec: "ulpfec"
    case .parityfec: "PARITYFEC"
    case .flexfec: "FLEXFEC-03"
    case .t140: "t140"
    case .other: ""
    }
  }

  /// Redundancy and error-correction formats carry other payload numbers inside (RFC 2198, RFC 4588), so a server that
  /// renumbers must leave them out.
  var isWrapper: Bool {
    switch self {
    case .red, .rtx, .ulpfec, .parityfec, .flexfec, .t140: true
    default: false
    }
  }

  /// Nil where it is no token of at most 32 octets.
  static func read(_ s: Span<UInt8>, _ name: Range<Int>) -> Encoding? {
    if let known = known(s, name) { return known }
    return name.count <= 32 && s.isVisible(name) ? .other : nil
  }

  /// Length first: most names are then compared with few others.
  private static func known(_ s: Span<UInt8>, _ name: Range<Int>) -> Encoding? {
    switch name.count {
    case 2:
      if s.equals("CN", name) { return .comfortNoise }
    case 3:
      if s.equals("GSM", name) { return .gsm }
      if s.equals("AMR", name) { return .amr }
      if s.equals("L16", name) { return .l16 }
      if s.equals("RED", name) { return .red }
      if s.equals("RTX", name) { return .rtx }
      if s.equals("LPC", name) { return .lpc }
      if s.equals("MPA", name) { return .mpa }
    case 4:
      if s.equals("PCMU", name) { return .pcmu }
      if s.equals("PCMA", name) { return .pcma }
      if s.equals("G722", name) { return .g722 }
      if s.equals("opus", name) { return .opus }
      if s.equals("G729", name) { return .g729 }
      if s.equals("iLBC", name) { return .ilbc }
      if s.equals("G723", name) { return .g723 }
      if s.equals("G728", name) { return .g728 }
      if s.equals("G719", name) { return .g719 }
      if s.equals("DVI4", name) { return .dvi4 }
      if s.equals("t140", name) { return .t140 }
    case 5:
      if s.equals("speex", name) { return .speex }
      // Annexes A and B are said in fmtp; the bit stream is G729 (RFC 3551 §4.5.6).
      if s.equals("G729A", name) || s.equals("G729B", name) { return .g729 }
      if s.equals("G7221", name) { return .g7221 }
      if s.equals("QCELP", name) { return .qcelp }
    case 6:
      if s.equals("G729AB", name) { return .g729 }
      if s.equals("AMR-WB", name) { return .amrWB }
      if s.equals("ulpfec", name) { return .ulpfec }
      if s.equals("SIREN7", name) { return .siren7 }
    case 7:
      if s.equals("SIREN14", name) { return .siren14 }
    case 9:
      if s.equals("MP4A-LATM", name) { return .mp4aLATM }
      if s.equals("PARITYFEC", name) { return .parityfec }
    case 10:
      if s.equals("FLEXFEC-03", name) { return .flexfec }
    case 13:
      if s.equals("mpeg4-generic", name) { return .mpeg4Generic }
    case 15:
      if s.equals("telephone-event", name) { return .telephoneEvent }
    default: break
    }
    return nil
  }
}
