import Testing

@testable import TunnelServer
