import ChaosHarness

/// Ports of 127.0.0.1 that nothing listens on.
///
/// They lie below the range that the kernel takes ephemeral ports from (32768 and up), so that an outgoing connection cannot
/// take one between its choice and its use. A process gives out one twice only when it has gone through all.
enum FreePorts {
    static func one() throws -> Int { try StagePorts.free() }
}
