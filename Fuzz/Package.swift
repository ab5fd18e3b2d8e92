// swift-tools-version:6.2
import PackageDescription

// The fuzz targets are a package of their own, so that they build their decoders and nothing else: the sources are links
// into the main package. The sanitizers are named here for our own code alone; what it depends on gets only the address
// sanitizer from scripts/fuzz, because coverage of a library would lead the fuzzer astray.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .treatAllWarnings(as: .error),
    // Of several -sanitize options the last one holds, so this names both. Assertions stay on in optimised code.
    .unsafeFlags(["-sanitize=fuzzer,address", "-assert-config", "Debug"]),
]
let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func fuzzTarget(_ name: String, checks: Target.Dependency) -> Target {
    .executableTarget(name: name, dependencies: [checks, "FuzzEntry"], swiftSettings: settings)
}

let package = Package(
    name: "gotunnel-fuzz",
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        library("Timing", []),
        library("TunnelWire", [nio]),
        library(
            "TunnelSession",
            [
                "Timing", "TunnelWire", nio, .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
            ]),
        library("Settings", [.product(name: "Yams", package: "Yams")]),
        library("FuzzEntry", []),
        library("WireChecks", ["TunnelWire", nio]),
        library("SessionChecks", ["Timing", "TunnelSession", "TunnelWire", nio]),
        library("SettingsChecks", ["Settings"]),
        fuzzTarget("FrameDecoderFuzz", checks: "WireChecks"),
        fuzzTarget("HandshakeMessagesFuzz", checks: "WireChecks"),
        fuzzTarget("ControlMessagesFuzz", checks: "WireChecks"),
        fuzzTarget("ClusterMessagesFuzz", checks: "WireChecks"),
        fuzzTarget("SessionFuzz", checks: "SessionChecks"),
        fuzzTarget("HandoffFuzz", checks: "SessionChecks"),
        fuzzTarget("ConfigFuzz", checks: "SettingsChecks"),
    ])
