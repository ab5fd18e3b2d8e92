import TunnelWire

/// What a `Membership` wants done, in this order.
package enum MembershipAction: Equatable, Sendable {
    /// Dropped if there is no control link to the member now.
    case send(MembershipMessage, to: ServerName)
    /// What is known of a member (this server included) is new or different.
    case changed(MemberView)
    /// Dial the member now, whatever the backoff says: its link broke, or nobody answered at its address.
    case dial(ServerName)
    /// Others knew a later life of this server than it did itself, or another one with the same generation: its disk was
    /// lost. This generation, higher than all heard of, is to be kept on disk, and what it owns published under it.
    case raisedGeneration(UInt64)
}
