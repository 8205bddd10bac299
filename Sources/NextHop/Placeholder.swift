internal import CCares
internal import NetCore

/// Finding the next hop of a request: RFC 3263.
enum NextHop {}
