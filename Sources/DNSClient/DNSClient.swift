internal import CCares
internal import NetCore
internal import NextHop

enum DNSClientPlaceholder {}
