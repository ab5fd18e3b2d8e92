import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// A process that gets only a share of one CPU, all its threads and children together: by a control group where this user may
/// make one, else by turns (`TurnStarvation`). Of several on one process the latest holds.
package final class Starvation: Sendable {
    /// How a process is starved.
    package enum Means: String, Sendable { case controlGroup, turns }

    package let means: Means
    private let work: any StarvationWork

    /// - Parameters:
    ///   - share: above 0, 1 is a whole CPU.
    ///   - means: nil: the best that there is.
    package init(of pid: pid_t, share: Double, leftovers: Leftovers? = nil, means: Means? = nil) throws {
        guard share > 0, share <= 1 else { throw StageError("a share of a CPU is above 0 and 1 at most, not \(share)") }
        guard let start = ProcessTable.startTime(of: pid) else { throw StageError("there is no process \(pid) to starve") }
        if means != .turns, let work = try GroupStarvation(of: pid, share: share, leftovers) {
            (self.means, self.work) = (.controlGroup, work)
        } else if means != .controlGroup {
            (self.means, self.work) = (.turns, try TurnStarvation(of: pid, start, share: share, leftovers))
        } else {
            throw StageError("this user can make no control group for CPU time here", isOfMachine: true)
        }
    }

    /// Gives it all the CPU that it wants; also when it has ended meanwhile.
    package func end() { self.work.end() }
}

private protocol StarvationWork: Sendable {
    func end()
}

/// By a control group of its own, or with version 2 by its present one if nobody else is in that: there systemd knows its
/// services by their groups, and would lose one that is moved.
private final class GroupStarvation: StarvationWork {
    private let hierarchy: ControlGroup.Hierarchy
    private let leftovers: Leftovers?
    private let change: Change

    private enum Change: Sendable {
        case moved(to: String, from: String)
        case limited(file: String, was: String)
    }

    private static let count = Atomic<Int>(0)

    /// Nil: this is not possible here.
    init?(of pid: pid_t, share: Double, _ leftovers: Leftovers?) throws {
        guard let hierarchy = ControlGroup.cpu(), let own = ControlGroup.group(of: pid, in: hierarchy) else { return nil }
        (self.hierarchy, self.leftovers) = (hierarchy, leftovers)
        let limit = ControlGroup.limit(share, hierarchy.version)
        if let was = Self.freeLimit(of: own, pid, hierarchy) {
            let file = "\(own)/cpu.max"
            try leftovers?.note(.setting(file, was: was))
            self.change = .limited(file: file, was: was)
            guard ControlGroup.write(limit[0].text, to: file) else { return nil }
            return
        }
        let number = Self.count.add(1, ordering: .relaxed).newValue
        let path = "\(hierarchy.path)/gotunnel-chaos-\(getpid())-\(number)"
        self.change = .moved(to: path, from: own)
        if hierarchy.version == .two { _ = ControlGroup.write("+cpu", to: "\(hierarchy.path)/cgroup.subtree_control") }
        try leftovers?.note(.cgroup(path))
        guard mkdir(path, 0o755) == 0, limit.allSatisfy({ ControlGroup.write($0.text, to: "\(path)/\($0.file)") }) else {
            LeftoverSweep.remove([.cgroup(path)])
            leftovers?.forget(.cgroup(path))
            return nil
        }
        // Twice: a child may have been born between the look and the move of its parent.
        for _ in 1...2 { ControlGroup.move(ProcessTable.family(of: pid), to: path) }
    }

    /// The present limit of a group of version 2 whose members are all of this family, if it is none.
    private static func freeLimit(of group: String, _ pid: pid_t, _ hierarchy: ControlGroup.Hierarchy) -> String? {
        guard hierarchy.version == .two, group != hierarchy.path,
            let was = try? String(contentsOfFile: "\(group)/cpu.max", encoding: .utf8), was.hasPrefix("max"),
            Set(ControlGroup.members(group)).isSubset(of: ProcessTable.family(of: pid))
        else { return nil }
        return was
    }

    func end() {
        switch self.change {
        case .limited(let file, let was):
            _ = ControlGroup.write(was, to: file)
            self.leftovers?.forget(.setting(file, was: was))
        case .moved(let path, let from):
            let members = ControlGroup.members(path)
            // Where it was before may have been another starvation's group, which is gone.
            if ControlGroup.move(members, to: from) < members.count {
                ControlGroup.move(ControlGroup.members(path), to: self.hierarchy.path)
            }
            if LeftoverSweep.remove([.cgroup(path)]) { self.leftovers?.forget(.cgroup(path)) }
        }
    }
}

/// By SIGSTOP and SIGCONT: a thread looks every 4 ms what the process has computed, and stops it for as long as that is more
/// than its share. A process that has been stopped by somebody else may be continued by this.
private final class TurnStarvation: StarvationWork {
    private let leftovers: Leftovers?
    private let root: Leftover
    private let isOver = Atomic<Bool>(false)
    private let done = DispatchSemaphore(value: 0)

    private static let tick: Double = 0.004

    init(of pid: pid_t, _ start: UInt64, share: Double, _ leftovers: Leftovers?) throws {
        self.leftovers = leftovers
        self.root = .stopped(pid, start: start)
        guard kill(pid, 0) == 0 else { throw StageError("process \(pid) is not this user's", isOfMachine: true) }
        try leftovers?.note(self.root)
        Thread.detachNewThread { [self] in
            self.ration(pid, start, share)
            self.done.signal()
        }
    }

    func end() {
        guard !self.isOver.exchange(true, ordering: .relaxed) else { return }
        self.done.wait()
        self.leftovers?.forget(self.root)
    }

    private func ration(_ pid: pid_t, _ start: UInt64, _ share: Double) {
        var family: [pid_t] = []
        var (used, credit, round, isStopped) = ([pid_t: Double](), 0.0, 0, false)
        var before = DispatchTime.now().uptimeNanoseconds
        while !self.isOver.load(ordering: .relaxed), ProcessTable.isRunning(pid, since: start) {
            // Its children change rarely, and to look for them costs more than all the rest.
            if round % 25 == 0 { family = ProcessTable.family(of: pid) }
            round += 1
            let now = DispatchTime.now().uptimeNanoseconds
            credit += share * Double(now - before) / 1e9
            before = now
            for member in family {
                let seconds = Self.computed(member) ?? 0
                credit -= max(0, seconds - (used[member] ?? seconds))
                used[member] = seconds
            }
            // What was not used is not saved up.
            credit = min(credit, share * 0.02)
            let isDue = credit < 0
            if isDue || isStopped { for member in family { kill(member, isDue ? SIGSTOP : SIGCONT) } }
            isStopped = isDue
            usleep(UInt32(Self.tick * 1e6))
        }
        if isStopped { for member in ProcessTable.family(of: pid) { kill(member, SIGCONT) } }
    }

    /// Seconds of CPU that all threads of a process have used.
    private static func computed(_ pid: pid_t) -> Double? {
        var (clock, time) = (clockid_t(), timespec())
        guard clock_getcpuclockid(pid, &clock) == 0, clock_gettime(clock, &time) == 0 else { return nil }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
