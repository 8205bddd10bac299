/// ITU-T Q.850 (05/98) table 1. Names are those that FreeSWITCH has made common; where it has none, the
/// recommendation's own words in the same style.
enum CauseNames {
  struct Entry {
    let value: UInt8
    let name: String
    let text: String
  }

  /// Other spellings that people bring along; matched, never written.
  static let aliases: [String: Entry] = {
    let pairs: [(String, UInt8)] = [
      ("NO_ANSWER_FROM_USER", 19), ("NO_USER_RESPONDING", 18), ("NORMAL_CALL_CLEARING", 16), ("BUSY", 17),
      ("NORMAL", 16), ("CONGESTION", 34), ("REJECTED", 21), ("NO_ROUTE_TO_DESTINATION", 3), ("ADDRESS_INCOMPLETE", 28),
      ("TEMPORARY_FAILURE", 41), ("CALL_REJECT", 21), ("PREEMPTED", 45), ("UNASSIGNED_NUMBER", 1),
    ]
    return Dictionary(uniqueKeysWithValues: pairs.compactMap { name, value in entry(value).map { (name, $0) } })
  }()

  static func entry(_ value: UInt8) -> Entry? {
    let at = index[Int(value & 127)]
    return at < 0 ? nil : all[Int(at)]
  }

  private static let index: [Int8] = {
    var index = [Int8](repeating: -1, count: 128)
    for (i, entry) in all.enumerated() { index[Int(entry.value & 127)] = Int8(truncatingIfNeeded: i) }
    return index
  }()

  static let all: [Entry] = [
    // Normal events (class 0 and 1)
    Entry(value: 1, name: "UNALLOCATED_NUMBER", text: "Unallocated number"),
    Entry(value: 2, name: "NO_ROUTE_TRANSIT_NET", text: "No route to specified transit network"),
    Entry(value: 3, name: "NO_ROUTE_DESTINATION", text: "No route to destination"),
    Entry(value: 4, name: "SEND_SPECIAL_TONE", text: "Send special information tone"),
    Entry(value: 5, name: "MISDIALLED_TRUNK_PREFIX", text: "Misdialled trunk prefix"),
    Entry(value: 6, name: "CHANNEL_UNACCEPTABLE", text: "Channel unacceptable"),
    Entry(value: 7, name: "CALL_AWARDED_DELIVERED", text: "Call awarded and being delivered"),
    Entry(value: 8, name: "PREEMPTION", text: "Preemption"),
    Entry(value: 9, name: "PREEMPTION_RESERVED", text: "Preemption - circuit reserved for reuse"),
    Entry(value: 14, name: "PORTED_NUMBER", text: "QoR: ported number"),
    Entry(value: 16, name: "NORMAL_CLEARING", text: "Normal call clearing"),
    Entry(value: 17, name: "USER_BUSY", text: "User busy"),
    Entry(value: 18, name: "NO_USER_RESPONSE", text: "No user responding"),
    Entry(value: 19, name: "NO_ANSWER", text: "No answer from user (user alerted)"),
    Entry(value: 20, name: "SUBSCRIBER_ABSENT", text: "Subscriber absent"),
    Entry(value: 21, name: "CALL_REJECTED", text: "Call rejected"),
    Entry(value: 22, name: "NUMBER_CHANGED", text: "Number changed"),
    Entry(value: 23, name: "REDIRECTION_TO_NEW_DESTINATION", text: "Redirection to new destination"),
    Entry(value: 24, name: "REJECTED_BY_FEATURE", text: "Call rejected due to feature at the destination"),
    Entry(value: 25, name: "EXCHANGE_ROUTING_ERROR", text: "Exchange routing error"),
    Entry(value: 26, name: "NON_SELECTED_USER_CLEARING", text: "Non-selected user clearing"),
    Entry(value: 27, name: "DESTINATION_OUT_OF_ORDER", text: "Destination out of order"),
    Entry(value: 28, name: "INVALID_NUMBER_FORMAT", text: "Invalid number format (address incomplete)"),
    Entry(value: 29, name: "FACILITY_REJECTED", text: "Facility rejected"),
    Entry(value: 30, name: "RESPONSE_TO_STATUS_ENQUIRY", text: "Response to STATUS ENQUIRY"),
    Entry(value: 31, name: "NORMAL_UNSPECIFIED", text: "Normal, unspecified"),
    // Resource unavailable (class 2)
    Entry(value: 34, name: "NORMAL_CIRCUIT_CONGESTION", text: "No circuit/channel available"),
    Entry(value: 38, name: "NETWORK_OUT_OF_ORDER", text: "Network out of order"),
    Entry(value: 39, name: "FRAME_MODE_OUT_OF_SERVICE", text: "Permanent frame mode connection out of service"),
    Entry(value: 40, name: "FRAME_MODE_OPERATIONAL", text: "Permanent frame mode connection operational"),
    Entry(value: 41, name: "NORMAL_TEMPORARY_FAILURE", text: "Temporary failure"),
    Entry(value: 42, name: "SWITCH_CONGESTION", text: "Switching equipment congestion"),
    Entry(value: 43, name: "ACCESS_INFO_DISCARDED", text: "Access information discarded"),
    Entry(value: 44, name: "REQUESTED_CHAN_UNAVAIL", text: "Requested circuit/channel not available"),
    // Q.850 calls 45 reserved; FreeSWITCH, and so the field, uses it.
    Entry(value: 45, name: "PRE_EMPTED", text: "Pre-empted"),
    Entry(value: 46, name: "PRECEDENCE_CALL_BLOCKED", text: "Precedence call blocked"),
    Entry(value: 47, name: "RESOURCE_UNAVAILABLE", text: "Resource unavailable, unspecified"),
    // Service or option not available (class 3)
    Entry(value: 49, name: "QOS_UNAVAILABLE", text: "Quality of service not available"),
    Entry(value: 50, name: "FACILITY_NOT_SUBSCRIBED", text: "Requested facility not subscribed"),
    Entry(value: 52, name: "OUTGOING_CALL_BARRED", text: "Outgoing calls barred"),
    Entry(value: 53, name: "OUTGOING_CALL_BARRED_CUG", text: "Outgoing calls barred within CUG"),
    Entry(value: 54, name: "INCOMING_CALL_BARRED", text: "Incoming calls barred"),
    Entry(value: 55, name: "INCOMING_CALL_BARRED_CUG", text: "Incoming calls barred within CUG"),
    Entry(value: 57, name: "BEARERCAPABILITY_NOTAUTH", text: "Bearer capability not authorized"),
    Entry(value: 58, name: "BEARERCAPABILITY_NOTAVAIL", text: "Bearer capability not presently available"),
    Entry(value: 62, name: "INCONSISTENT_ACCESS_INFO", text: "Inconsistency in outgoing access information"),
    Entry(value: 63, name: "SERVICE_UNAVAILABLE", text: "Service or option not available, unspecified"),
    // Service or option not implemented (class 4)
    Entry(value: 65, name: "BEARERCAPABILITY_NOTIMPL", text: "Bearer capability not implemented"),
    Entry(value: 66, name: "CHAN_NOT_IMPLEMENTED", text: "Channel type not implemented"),
    Entry(value: 69, name: "FACILITY_NOT_IMPLEMENTED", text: "Requested facility not implemented"),
    Entry(value: 70, name: "RESTRICTED_DIGITAL_ONLY", text: "Only restricted digital bearer is available"),
    Entry(value: 79, name: "SERVICE_NOT_IMPLEMENTED", text: "Service or option not implemented, unspecified"),
    // Invalid message (class 5)
    Entry(value: 81, name: "INVALID_CALL_REFERENCE", text: "Invalid call reference value"),
    Entry(value: 82, name: "CHANNEL_NONEXIST", text: "Identified channel does not exist"),
    Entry(value: 83, name: "CALL_IDENTITY_NONEXIST", text: "A suspended call exists, but this identity does not"),
    Entry(value: 84, name: "CALL_IDENTITY_IN_USE", text: "Call identity in use"),
    Entry(value: 85, name: "NO_CALL_SUSPENDED", text: "No call suspended"),
    Entry(value: 86, name: "CALL_IDENTITY_CLEARED", text: "Call having the requested identity has been cleared"),
    Entry(value: 87, name: "USER_NOT_MEMBER_OF_CUG", text: "User not member of CUG"),
    Entry(value: 88, name: "INCOMPATIBLE_DESTINATION", text: "Incompatible destination"),
    Entry(value: 90, name: "NONEXISTENT_CUG", text: "Non-existent CUG"),
    Entry(value: 91, name: "INVALID_TRANSIT_NETWORK", text: "Invalid transit network selection"),
    Entry(value: 95, name: "INVALID_MSG_UNSPECIFIED", text: "Invalid message, unspecified"),
    // Protocol error (class 6)
    Entry(value: 96, name: "MANDATORY_IE_MISSING", text: "Mandatory information element is missing"),
    Entry(value: 97, name: "MESSAGE_TYPE_NONEXIST", text: "Message type non-existent or not implemented"),
    Entry(value: 98, name: "WRONG_MESSAGE", text: "Message not compatible with call state"),
    Entry(value: 99, name: "IE_NONEXIST", text: "Information element non-existent or not implemented"),
    Entry(value: 100, name: "INVALID_IE_CONTENTS", text: "Invalid information element contents"),
    Entry(value: 101, name: "WRONG_CALL_STATE", text: "Message not compatible with call state"),
    Entry(value: 102, name: "RECOVERY_ON_TIMER_EXPIRE", text: "Recovery on timer expiry"),
    Entry(value: 103, name: "MANDATORY_IE_LENGTH_ERROR", text: "Parameter non-existent or not implemented, passed on"),
    Entry(value: 110, name: "PARAMETER_UNRECOGNIZED", text: "Message with unrecognized parameter, discarded"),
    Entry(value: 111, name: "PROTOCOL_ERROR", text: "Protocol error, unspecified"),
    // Interworking (class 7)
    Entry(value: 127, name: "INTERWORKING", text: "Interworking, unspecified"),
  ]
}
