import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// Programs whose clocks run at another rate, as those of a machine with a bad oscillator or a busy hypervisor do: a library
/// that is loaded before the C library shows them another time and waits accordingly (LD_PRELOAD, ld.so(8)). It is built here,
/// with the C compiler of this machine, as libfaketime is of no use: under it timers of a given moment never go off
/// (0.9.10; timerfd_settime with TFD_TIMER_ABSTIME), and with these the sleeps of Swift's tasks.
///
/// What changes: the real-time, monotonic and boot-time clocks, which go on from the time that they show when the program starts;
/// timers, sleeps, and how long poll, epoll and condition variables wait at most. What does not: the clocks of CPU time, what
/// the kernel measures itself (TCP's retransmissions, the times of files), and what passes the C library by (futex(2)). A program
/// that executes another hands the rate on; the other's clocks start from the genuine time again.
package struct ClockRate: Sendable {
    /// What is added to a program's environment.
    package let environment: [String: String]

    /// - Parameters:
    ///   - rate: 1.1: 66 of the program's seconds in a minute.
    ///   - folder: where the library is put; programs must be able to read it, and to execute what is there.
    /// - Throws: a `StageError` of the machine if it has no compiler, or the library cannot be loaded.
    package init(_ rate: Double, folder: String = Leftovers.folder) throws {
        guard (0.001...1_000).contains(rate) else { throw StageError("clocks run 0.001 to 1000 times as fast, not \(rate)") }
        let library = "\(folder)/clock.so"
        do {
            try Leftovers.makeFolder(folder)
            try Self.build(library)
            self.environment = ["LD_PRELOAD": library, "GOTUNNEL_CHAOS_CLOCK_RATE": "\(rate)"]
            let loaded = try Shell.run(["env"] + self.environment.map { "\($0)=\($1)" }.sorted() + ["cat", "/proc/self/maps"])
            guard loaded.contains(library) else { throw StageError("\(library) cannot be loaded") }
        } catch let error as StageError {
            throw StageError("the rate of clocks cannot be changed: \(error)", isOfMachine: true)
        }
    }

    private static func build(_ library: String) throws {
        guard let compiler = ["cc", "clang", "gcc"].first(where: { (try? Shell.run(["which", $0])) != nil }) else {
            throw StageError("there is no C compiler here: install one (apt install gcc)")
        }
        // Under another name first: a program may be loading it.
        let unready = "\(library).\(getpid())-\(UUID().uuidString)"
        defer { unlink(unready) }
        try Shell.run([compiler, "-x", "c", "-O1", "-shared", "-fPIC", "-o", unready, "-"], input: ClockLibrary.source)
        guard rename(unready, library) == 0 else { throw StageError("\(library): \(String(cString: strerror(errno)))") }
    }
}
