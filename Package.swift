// swift-tools-version:6.2
import PackageDescription

// FAULTS compiles in the hooks with which tests break things on purpose; they are chosen at run time.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .treatAllWarnings(as: .error), .define("FAULTS", .when(configuration: .debug)),
]

func product(_ name: String, _ package: String) -> Target.Dependency { .product(name: name, package: package) }

let nioCore = product("NIOCore", "swift-nio")
let nioPosix = product("NIOPosix", "swift-nio")
let nioSSL = product("NIOSSL", "swift-nio-ssl")
let argumentParser = product("ArgumentParser", "swift-argument-parser")
let logging = product("Logging", "swift-log")

let package = Package(
    name: "gotunnel",
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        // What hummingbird hands to the admin API's own listener; both come with it anyway.
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
    ],
    targets: [
        .target(name: "Timing", swiftSettings: strict),
        .target(name: "TunnelWire", dependencies: [nioCore], swiftSettings: strict),
        .target(
            name: "ClusterCore", dependencies: ["Timing", "TunnelWire", product("DequeModule", "swift-collections")],
            swiftSettings: strict),
        .target(
            name: "Simulation",
            dependencies: [
                "ClusterCore", "Timing", "TunnelWire", product("DequeModule", "swift-collections"),
                product("HeapModule", "swift-collections"),
            ], swiftSettings: strict),
        .target(
            name: "TunnelSession",
            dependencies: [
                "Timing", "TunnelWire", nioCore, product("DequeModule", "swift-collections"),
                product("HeapModule", "swift-collections"),
            ],
            swiftSettings: strict),
        .target(
            name: "Identity",
            dependencies: [
                product("Crypto", "swift-crypto"), product("X509", "swift-certificates"), product("SwiftASN1", "swift-asn1"),
            ], swiftSettings: strict),
        .target(name: "Settings", dependencies: [product("Yams", "Yams")], swiftSettings: strict),
        .target(
            name: "TunnelTransport",
            dependencies: [
                "Timing", "TunnelWire", "TunnelSession", "Identity", nioCore, nioPosix, nioSSL, product("NIOTLS", "swift-nio"),
                product("NIOConcurrencyHelpers", "swift-nio"), product("CoreMetrics", "swift-metrics"),
                product("DequeModule", "swift-collections"),
            ], swiftSettings: strict),
        .target(
            name: "Admin",
            dependencies: [
                nioCore, nioPosix, product("NIOHTTP1", "swift-nio"), logging, product("CoreMetrics", "swift-metrics"),
                product("HTTPTypes", "swift-http-types"), product("NIOHTTPTypes", "swift-nio-extras"),
                product("Hummingbird", "hummingbird"),
                product("HummingbirdCore", "hummingbird"), product("AsyncHTTPClient", "async-http-client"),
                product("ServiceLifecycle", "swift-service-lifecycle"),
            ], swiftSettings: strict),
        .systemLibrary(name: "CMemory"),
        .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        .target(name: "Systemd", dependencies: ["CSystemd", "Timing", logging], swiftSettings: strict),
        .systemLibrary(name: "CSpawn"),
        .target(
            name: "Daemon",
            dependencies: [
                "Admin", "CMemory", "CSpawn", "Identity", "Settings", "Systemd", "Timing", "TunnelSession", "TunnelTransport",
                "TunnelWire",
                logging, nioCore, product("Metrics", "swift-metrics"), product("ServiceLifecycle", "swift-service-lifecycle"),
                product("UnixSignals", "swift-service-lifecycle"),
            ], swiftSettings: strict),
        .target(
            name: "TunnelServer",
            dependencies: [
                "Admin", "CSpawn", "ClusterCore", "Daemon", "Identity", "Settings", "Systemd", "Timing", "TunnelSession",
                "TunnelTransport", "TunnelWire", nioCore, nioPosix, nioSSL, product("DequeModule", "swift-collections"), logging,
                product("AsyncHTTPClient", "async-http-client"),
                product("ServiceLifecycle", "swift-service-lifecycle"),
            ], swiftSettings: strict),
        .target(
            name: "TunnelClient",
            dependencies: [
                "Admin", "Daemon", "Identity", "Settings", "Systemd", "Timing", "TunnelSession", "TunnelTransport", "TunnelWire",
                nioCore, nioPosix, logging, product("ServiceLifecycle", "swift-service-lifecycle"),
            ], swiftSettings: strict),
        .executableTarget(
            name: "gotunnel-server",
            dependencies: ["Admin", "Daemon", "Settings", "TunnelServer", "TunnelWire", argumentParser],
            swiftSettings: strict),
        .executableTarget(
            name: "gotunnel-client",
            dependencies: ["Admin", "Daemon", "Settings", "TunnelClient", "TunnelWire", argumentParser],
            swiftSettings: strict),
        .target(name: "ChaosCore", dependencies: ["Settings", "Timing"], swiftSettings: strict),
        .target(
            name: "ApiserverTraffic",
            dependencies: [
                "ChaosCore", "Identity", nioCore, nioPosix, nioSSL, product("NIOHTTP1", "swift-nio"),
                product("NIOTLS", "swift-nio"),
                product("NIOHTTP2", "swift-nio-http2"),
            ], swiftSettings: strict),
        .target(
            name: "ChaosHarness",
            dependencies: [
                "Admin", "ApiserverTraffic", "CSpawn", "ChaosCore", "ClusterCore", "Daemon", "Identity", "Settings", "Timing",
                "TunnelClient", "TunnelServer",
                "TunnelWire",
                nioCore, nioPosix, nioSSL, product("NIOHTTP1", "swift-nio"), product("NIOTLS", "swift-nio"), logging,
            ], swiftSettings: strict),
        .executableTarget(
            name: "gotunnel-chaos",
            dependencies: [
                "Admin", "ApiserverTraffic", "ChaosCore", "ChaosHarness", "ClusterCore", "Identity", "Settings", "Simulation",
                nioCore, argumentParser,
                product("UnixSignals", "swift-service-lifecycle"),
            ], swiftSettings: strict),
        .executableTarget(
            name: "gotunnelctl", dependencies: ["Admin", "Identity", "Settings", argumentParser], swiftSettings: strict),
        .testTarget(name: "TunnelWireTests", dependencies: ["TunnelWire", nioCore], swiftSettings: strict),
        .testTarget(
            name: "ClusterCoreTests",
            dependencies: ["ClusterCore", "Timing", "TunnelWire", nioCore, product("HeapModule", "swift-collections")],
            swiftSettings: strict),
        .testTarget(
            name: "SimulationTests", dependencies: ["ClusterCore", "Simulation", "Timing", "TunnelWire"], swiftSettings: strict),
        .testTarget(
            name: "TunnelSessionTests",
            dependencies: ["Timing", "TunnelSession", "TunnelWire", nioCore, product("DequeModule", "swift-collections")],
            swiftSettings: strict),
        .testTarget(
            name: "IdentityTests",
            dependencies: [
                "Identity", product("Crypto", "swift-crypto"), product("X509", "swift-certificates"),
                product("SwiftASN1", "swift-asn1"),
            ], swiftSettings: strict),
        .testTarget(
            name: "ApiserverTrafficTests", dependencies: ["ApiserverTraffic", "ChaosCore", nioCore, nioPosix],
            swiftSettings: strict),
        .testTarget(name: "ChaosCoreTests", dependencies: ["ChaosCore", "Settings"], swiftSettings: strict),
        .testTarget(
            name: "ChaosHarnessTests",
            dependencies: [
                "Admin", "ChaosCore", "ChaosHarness", "Settings", nioCore, nioPosix, product("NIOEmbedded", "swift-nio"),
                product("NIOHTTP1", "swift-nio"),
            ], swiftSettings: strict),
        .testTarget(name: "SystemdTests", dependencies: ["CSystemd", "Systemd", "Timing", logging], swiftSettings: strict),
        .testTarget(name: "SettingsTests", dependencies: ["Settings"], swiftSettings: strict),
        .testTarget(
            name: "AdminTests", dependencies: ["Admin", logging, product("CoreMetrics", "swift-metrics"), nioCore, nioPosix],
            swiftSettings: strict),
        .testTarget(
            name: "TunnelTransportTests",
            dependencies: [
                "Timing", "TunnelTransport", "TunnelSession", "TunnelWire", "Identity", nioCore, nioPosix, nioSSL,
                product("NIOTLS", "swift-nio"), product("NIOEmbedded", "swift-nio"),
                product("NIOConcurrencyHelpers", "swift-nio"), product("Crypto", "swift-crypto"),
            ], swiftSettings: strict),
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "CSpawn", "ChaosHarness", "Identity", "TunnelTransport", "TunnelWire", nioCore, nioPosix, nioSSL,
                product("NIOTLS", "swift-nio"), product("Crypto", "swift-crypto"),
            ], swiftSettings: strict),
        .testTarget(
            name: "TunnelClientTests",
            dependencies: ["Timing", "TunnelClient", "TunnelSession", "TunnelWire", "Settings", logging],
            swiftSettings: strict),
        .testTarget(
            name: "TunnelServerTests", dependencies: ["ClusterCore", "Identity", "Timing", "TunnelServer", "TunnelWire"],
            swiftSettings: strict),
    ]
)
