/// What will happen, soonest first; of two things at the same time, the one that was planned first.
///
/// A binary heap of keys; the events themselves stay where they are.
struct EventQueue<Event> {
    private struct Key {
        var at: Int64
        var sequence: UInt64
        var slot: Int

        func isBefore(_ other: Key) -> Bool {
            self.at != other.at ? self.at < other.at : self.sequence < other.sequence
        }
    }

    private var heap: [Key] = []
    private var events: [Event?] = []
    private var free: [Int] = []
    private var sequence: UInt64 = 0

    var isEmpty: Bool { self.heap.isEmpty }
    /// When the next event is due, in nanoseconds.
    var nextAt: Int64? { self.heap.first?.at }

    mutating func push(_ event: Event, at: Int64) {
        let slot: Int
        if let reused = self.free.popLast() {
            slot = reused
            self.events[slot] = event
        } else {
            slot = self.events.count
            self.events.append(event)
        }
        self.sequence += 1
        self.heap.append(Key(at: at, sequence: self.sequence, slot: slot))
        self.rise(from: self.heap.count - 1)
    }

    mutating func pop() -> (at: Int64, event: Event)? {
        guard let first = self.heap.first, let last = self.heap.popLast() else { return nil }
        if !self.heap.isEmpty {
            self.heap[0] = last
            self.sink()
        }
        guard let event = self.events[first.slot].take() else { return nil }
        self.free.append(first.slot)
        return (first.at, event)
    }

    private mutating func rise(from start: Int) {
        var place = start
        let key = self.heap[place]
        while place > 0 {
            let parent = (place - 1) / 2
            guard key.isBefore(self.heap[parent]) else { break }
            self.heap[place] = self.heap[parent]
            place = parent
        }
        self.heap[place] = key
    }

    private mutating func sink() {
        var place = 0
        let key = self.heap[0]
        let count = self.heap.count
        while true {
            var child = 2 * place + 1
            guard child < count else { break }
            if child + 1 < count, self.heap[child + 1].isBefore(self.heap[child]) { child += 1 }
            guard self.heap[child].isBefore(key) else { break }
            self.heap[place] = self.heap[child]
            place = child
        }
        self.heap[place] = key
    }
}
