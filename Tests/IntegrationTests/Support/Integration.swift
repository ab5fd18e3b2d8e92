import Testing

/// The parent of all suites that start real programs: one test at a time, because they share the machine.
@Suite(.serialized, .timeLimit(.minutes(20)))
enum Integration {}

/// A strong token that guards nothing.
let sampleToken = "8f3a1c5d7e9b0246a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718"
/// Another one.
let otherToken = "11f8e7d6c5b4a392817069584f3e2d1c0b9a8f7e6d5c4b3a29180706f5e4d3c2"
