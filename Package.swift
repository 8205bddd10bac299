// swift-tools-version: 6.2
// Nightjar: a SIP server that is programmed in Lua. One target a responsibility; a target exists to forbid an import.
import PackageDescription

let base: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .treatAllWarnings(as: .error),
  // Checked in debug builds and tests; in a release the checks at run time are 4 % of a call's instructions.
  .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]
// LuaRuntime and Media talk to C and to raw packets; everywhere else unsafe code must say so.
let strict = base + [.strictMemorySafety()]
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let nio: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let posix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let ssl: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let tls: Target.Dependency = .product(name: "NIOTLS", package: "swift-nio")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")

let tests: [Target] = [
  .testTarget(name: "SIPMessageTests", dependencies: ["NetCore", "SIPMessage"], swiftSettings: strict),
  .testTarget(name: "SDPTests", dependencies: ["NetCore", "SDP"], swiftSettings: strict),
  .testTarget(name: "SIPDigestTests", dependencies: ["NetCore", "SIPMessage", "SIPDigest"], swiftSettings: strict),
  .testTarget(
    name: "SIPTransactionTests", dependencies: ["NetCore", "SIPMessage", "SIPTransaction"], swiftSettings: strict),
  .testTarget(
    name: "SIPDialogTests", dependencies: ["NetCore", "SIPMessage", "SDP", "SIPDialog", "SIPTransaction"],
    swiftSettings: strict),
  .testTarget(name: "NextHopTests", dependencies: ["NetCore", "SIPMessage", "NextHop"], swiftSettings: strict),
  .testTarget(name: "DNSClientTests", dependencies: ["NetCore", "NextHop", "DNSClient"], swiftSettings: base),
  .testTarget(name: "LuaSyntaxTests", dependencies: ["LuaSyntax"], swiftSettings: strict),
  .testTarget(
    name: "DialplanCheckTests", dependencies: ["LuaSyntax", "DialplanCheck"], swiftSettings: strict),
  .testTarget(name: "LuaRuntimeTests", dependencies: ["CLuaBridge", "LuaRuntime"], swiftSettings: base),
  .testTarget(name: "MediaTests", dependencies: ["NetCore", "CNet", "CSndfile", "Media"], swiftSettings: base),
  .testTarget(
    name: "CallEngineTests",
    dependencies: [
      "NetCore", "SIPMessage", "SDP", "SIPDigest", "SIPTransaction", "SIPDialog", "NextHop", "LuaRuntime",
      "DialplanCheck", "Media",
      "CallEngine", "TestSupport", log,
    ], swiftSettings: strict),
  .testTarget(
    name: "TestSupportTests",
    dependencies: ["NetCore", "SIPMessage", "SDP", "SIPTransaction", "SIPDialog", "CallEngine", "TestSupport"],
    swiftSettings: strict),
  .testTarget(
    name: "SIPTransportTests", dependencies: ["NetCore", "SIPMessage", "SIPTransport", nio, posix, log],
    swiftSettings: strict),
  .testTarget(
    name: "StorageTests",
    dependencies: ["Storage", "CallEngine", "NetCore", .product(name: "GRDB", package: "GRDB.swift"), log],
    swiftSettings: strict),
  .testTarget(
    name: "ServerTests",
    dependencies: ["Server", "Storage", "CallEngine", "NetCore", "NextHop", "DNSClient", "SIPDigest", log, nio, posix],
    swiftSettings: strict),
]

let package = Package(
  name: "nightjar",
  products: [.executable(name: "nightjar", targets: ["nightjar"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    .systemLibrary(name: "CLua", pkgConfig: "lua5.4", providers: [.apt(["liblua5.4-dev"])]),
    .systemLibrary(name: "CSndfile", pkgConfig: "sndfile", providers: [.apt(["libsndfile1-dev"])]),
    .systemLibrary(name: "CCares", pkgConfig: "libcares", providers: [.apt(["libc-ares-dev"])]),
    .target(name: "CLuaBridge", dependencies: ["CLua"]),
    .target(name: "CNet"),
    .target(name: "NetCore", swiftSettings: strict),
    .target(name: "SIPMessage", dependencies: ["NetCore"], swiftSettings: strict),
    .target(name: "SDP", dependencies: ["NetCore"], swiftSettings: strict),
    .target(name: "LuaSyntax", swiftSettings: strict),
    .target(name: "DialplanCheck", dependencies: ["LuaSyntax"], swiftSettings: strict),
    .target(name: "SIPDigest", dependencies: ["NetCore", "SIPMessage", crypto], swiftSettings: strict),
    .target(name: "SIPTransaction", dependencies: ["NetCore", "SIPMessage"], swiftSettings: strict),
    .target(name: "SIPDialog", dependencies: ["NetCore", "SIPMessage", "SDP"], swiftSettings: strict),
    .target(name: "NextHop", dependencies: ["NetCore", "SIPMessage"], swiftSettings: strict),
    .target(name: "DNSClient", dependencies: ["NetCore", "NextHop", "CNet", "CCares"], swiftSettings: base),
    .target(name: "LuaRuntime", dependencies: ["CLuaBridge"], resources: [.embedInCode("Lua")], swiftSettings: base),
    .target(name: "Media", dependencies: ["NetCore", "CNet", "CSndfile"], swiftSettings: base),
    .target(
      name: "CallEngine",
      dependencies: [
        "NetCore", "SIPMessage", "SDP", "SIPDigest", "SIPTransaction", "SIPDialog", "NextHop", "LuaRuntime",
        "DialplanCheck", "Media",
        log,
      ],
      resources: [.embedInCode("Lua")], swiftSettings: strict),
    .target(
      name: "SIPTransport", dependencies: ["NetCore", "SIPMessage", nio, posix, tls, ssl, crypto, log],
      swiftSettings: strict),
    .target(
      name: "Storage",
      dependencies: [
        "NetCore", "SIPMessage", "CallEngine", .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "GRDBSQLite", package: "GRDB.swift"), log,
      ],
      swiftSettings: strict),
    .target(
      name: "Server",
      dependencies: [
        "NetCore", "SIPMessage", "SIPDigest", "SIPTransaction", "LuaRuntime", "DialplanCheck", "Media", "CallEngine",
        "SIPTransport",
        "NextHop", "DNSClient", "Storage", "Yams", nio, posix, log, lifecycle,
      ], swiftSettings: strict),
    .executableTarget(
      name: "nightjar",
      dependencies: ["Server", .product(name: "ArgumentParser", package: "swift-argument-parser")],
      swiftSettings: strict),
    .target(
      name: "TestSupport",
      dependencies: [
        "NetCore", "SIPMessage", "SDP", "SIPDigest", "SIPDialog", "SIPTransaction", "NextHop", "LuaRuntime", "Media",
        "CallEngine", log,
      ],
      swiftSettings: strict),
    // What a call costs in instructions and allocations (Scripts/cost).
    .target(name: "Counting", path: "Tests/Cost/Counting"),
    .executableTarget(
      name: "Cost",
      dependencies: [
        "Counting", "NetCore", "SIPMessage", "SIPDigest", "SIPTransaction", "LuaRuntime", "Media", "CallEngine",
        "Storage", log,
      ], path: "Tests/Cost/Cost", swiftSettings: base),
  ] + tests
)
