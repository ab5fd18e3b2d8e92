import Foundation
import Testing

@testable import ChaosHarness

@Suite("Clocks at another rate")
struct ClockRateTests {
    private static let sleeperVariable = "GOTUNNEL_FAULTS_TEST_SLEEPER"
    private static let isSleeper = ProcessInfo.processInfo.environment[sleeperVariable] != nil

    private static let canBuild = ["cc", "clang", "gcc"].contains { (try? Shell.run(["which", $0])) != nil }

    /// Prints how much each clock moved for each second of the kernel's own, which `/proc/uptime` tells.
    private static let observer = """
        use Time::HiRes qw(clock_gettime CLOCK_REALTIME CLOCK_MONOTONIC time); my @clocks = (CLOCK_REALTIME, CLOCK_MONOTONIC, 7);
        sub real { open(my $f, '<', '/proc/uptime'); (split ' ', <$f>)[0] }
        my $start = real(); my @before = map { clock_gettime($_) } @clocks; my $day = time;
        while (real() - $start < 1) { Time::HiRes::usleep(20_000) }
        my $passed = real() - $start; my @after = map { clock_gettime($_) } @clocks; $day = time - $day;
        printf "%.4f ", ($after[$_] - $before[$_]) / $passed for 0..2; printf "%.4f\\n", $day / $passed;
        """

    @Test("all clocks of a program run at the rate", .enabled(if: canBuild, "needs a C compiler"), arguments: [0.5, 1.25, 40])
    func clocks(rate: Double) async throws {
        try await withFolder { folder in
            let environment = try ClockRate(rate, folder: "\(folder)/clock").environment
            try await withProgram(["perl", "-e", Self.observer], environment: environment) { process, log in
                #expect(await process.waitForEnd(within: .seconds(60)))
                let rates = text(log).split(whereSeparator: \.isWhitespace).compactMap { Double($0) }
                #expect(rates.count == 4, "\(text(log))")
                // A look at the two clocks takes time in between, in which the program may have to wait.
                #expect(rates.allSatisfy { $0 > rate * 0.8 && $0 < rate * 1.2 }, "\(rates)")
            }
        }
    }

    @Test("(the sleeper)", .enabled(if: isSleeper, "is for the other test to start"))
    func sleeper() async throws {
        let (continuous, suspending) = (ContinuousClock.now, SuspendingClock.now)
        try await Task.sleep(for: .seconds(1_800))
        try await Task.sleep(until: .now + .seconds(1_800), clock: .suspending)
        await withCheckedContinuation { continuation in
            DispatchQueue.global().asyncAfter(deadline: .now() + 1_800) { continuation.resume() }
        }
        let whole = Duration.seconds(5_400)
        print(continuous.duration(to: .now) >= whole && suspending.duration(to: .now) >= whole ? "slept well" : "woke early")
    }

    @Test("the sleeps of Swift's tasks and of Dispatch end by it", .enabled(if: canBuild, "needs a C compiler"))
    func sleeps() async throws {
        try await withFolder { folder in
            var environment = try ClockRate(1_000, folder: "\(folder)/clock").environment
            environment[Self.sleeperVariable] = "yes"
            let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            let command = [own, "--testing-library", "swift-testing", "--filter", "ClockRateTests/sleeper"]
            try await withProgram(command, environment: environment) { process, log in
                // It sleeps for an hour and a half.
                #expect(await process.waitForEnd(within: .seconds(120)))
                #expect(text(log).contains("slept well"), "\(text(log))")
            }
        }
    }

    @Test("rates that no clock has are refused, and what a machine lacks is said to be the machine's")
    func refused() {
        for rate in [0, -1, 2_000, .nan] { #expect(throws: StageError.self) { try ClockRate(rate) } }
        let error = #expect(throws: StageError.self) { try ClockRate(2, folder: "/proc/nowhere") }
        #expect(error?.isOfMachine == true)
    }
}
