/// What a rehearsal promises. Times in milliseconds.
package struct ContinuityPromise: Sendable {
    /// How long the slowest new connection may take.
    package enum Slowest: Sendable, Equatable {
        case anything
        /// So much more than the median.
        case overMedian(Double)
        case absolute(Double)
    }

    /// What becomes of the long streams on the server that is struck. Those on others are always untouched.
    package enum StruckStreams: Sendable, Equatable {
        /// There are no long streams.
        case none
        case allSurvive
        /// Reset within this time of the fault.
        case resetWithin(Double)
        /// Reset, or ended in any other way, within this time of the fault: what they led to died, not the tunnel.
        case endWithin(Double)
        /// They go on, or are reset within this time of the fault.
        case surviveOrEndWithin(Double)
        /// They finish in order, or are reset not before this time after the fault.
        case finishOrMeetDeadline(Double)
        /// Nothing is promised but that no byte is lost or doubled.
        case anything
    }

    package var slowest: Slowest
    package var streams: StruckStreams
    /// Whether requests that were under way at the moment of the fault count. They do not where the fault takes the
    /// server away that holds their connection: they are existing connections then, like the long streams.
    package var countsRequestsUnderWay: Bool

    package init(_ slowest: Slowest, _ streams: StruckStreams, countsRequestsUnderWay: Bool) {
        self.slowest = slowest
        self.streams = streams
        self.countsRequestsUnderWay = countsRequestsUnderWay
    }
}
