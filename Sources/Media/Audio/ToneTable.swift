/// The tones of each country, after ITU-T E.180/Q.35 and the list "Various tones used in national networks" (annex to
/// ITU Operational Bulletin 781). Where a country names no congestion tone its busy tone stands in. See `Tone` for the
/// notation.
struct ToneTable {
  let ringing: String
  let busy: String
  let congestion: String
  let dial: String

  func text(_ kind: ToneKind) -> String {
    switch kind {
    case .ringing: ringing
    case .busy: busy
    case .congestion: congestion
    case .dial: dial
    }
  }

  private static let northAmerica = ToneTable(
    ringing: "440+480/2000 0/4000", busy: "480+620/500 0/500", congestion: "480+620/250 0/250", dial: "350+440")

  /// 425 Hz, one second in five: most of Europe.
  private static func europe(
    ringing: String = "425/1000 0/4000", busy: String = "425/500 0/500", congestion: String = "425/250 0/250",
    dial: String = "425"
  ) -> ToneTable {
    ToneTable(ringing: ringing, busy: busy, congestion: congestion, dial: dial)
  }

  static let rows: [String: ToneTable] = [
    "us": northAmerica,
    "ca": northAmerica,
    "gb": ToneTable(
      ringing: "400+450/400 0/200 400+450/400 0/2000", busy: "400/375 0/375",
      congestion: "400/400 0/350 400/225 0/525", dial: "350+440"),
    "cn": ToneTable(ringing: "450/1000 0/4000", busy: "450/350 0/350", congestion: "450/700 0/700", dial: "450"),
    "de": europe(busy: "425/480 0/480", congestion: "425/240 0/240"),
    "fr": ToneTable(ringing: "440/1500 0/3500", busy: "440/500 0/500", congestion: "440/250 0/250", dial: "440"),
    "jp": ToneTable(ringing: "400*16/1000 0/2000", busy: "400/500 0/500", congestion: "400/500 0/500", dial: "400"),
    "at": ToneTable(ringing: "420/1000 0/5000", busy: "420/400 0/400", congestion: "420/200 0/200", dial: "420"),
    "au": ToneTable(
      ringing: "400+450/400 0/200 400+450/400 0/2000", busy: "425/375 0/375", congestion: "425/375 0/375",
      dial: "413+438"),
    "be": europe(ringing: "425/1000 0/3000", congestion: "425/167 0/167"),
    "ch": europe(congestion: "425/200 0/200"),
    "es": europe(
      ringing: "425/1500 0/3000", busy: "425/200 0/200", congestion: "425/200 0/200 425/200 0/200 425/200 0/600"),
    "in": ToneTable(
      ringing: "400*25/400 0/200 400*25/400 0/2000", busy: "400/750 0/750", congestion: "400/250 0/250", dial: "400*25"),
    "it": europe(congestion: "425/200 0/200", dial: "425/200 0/200 425/600 0/1000"),
    "nl": europe(),
    "se": europe(ringing: "425/1000 0/5000", busy: "425/250 0/250", congestion: "425/250 0/750"),
  ]
}
