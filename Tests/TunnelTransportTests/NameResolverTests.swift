import NIOCore
import NIOPosix
import Testing

@testable import TunnelTransport

@Suite struct NameResolverTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()

    @Test func aLiteralLeadsToItself() async throws {
        let v4 = try await NameResolver().resolve(host: "192.0.2.7", port: 17_000, on: self.loop).get()
        #expect(v4 == [try SocketAddress(ipAddress: "192.0.2.7", port: 17_000)])
        let v6 = try await NameResolver().resolve(host: "2001:db8::1", port: 443, on: self.loop).get()
        #expect(v6 == [try SocketAddress(ipAddress: "2001:db8::1", port: 443)])
    }

    @Test func aLiteralNeedsNoThread() async throws {
        // Never started: whatever is given to it stays undone.
        let idle = NIOThreadPool(numberOfThreads: 1)
        let addresses = try await NameResolver(pool: idle).resolve(host: "192.0.2.7", port: 1, on: self.loop).get()
        #expect(addresses.count == 1)
    }

    @Test func localhostLeadsToLoopbackAddressesEachOnce() async throws {
        let addresses = try await NameResolver().resolve(host: "localhost", port: 17_000, on: self.loop).get()
        #expect(!addresses.isEmpty)
        #expect(Set(addresses).count == addresses.count)
        for address in addresses {
            #expect(address.port == 17_000)
            #expect(["127.0.0.1", "::1"].contains(address.ipAddress ?? ""))
        }
    }

    @Test func aNameThatLeadsNowhereIsSaidWithTheReason() async {
        do {
            let addresses = try await NameResolver().resolve(host: "server.invalid", port: 17_000, on: self.loop).get()
            Issue.record("led to \(addresses)")
        } catch {
            #expect(error is NameResolver.Failure)
            #expect("\(error)".hasPrefix("server.invalid cannot be resolved: "))
            #expect("\(error)".utf8.count > "server.invalid cannot be resolved: ".utf8.count)
        }
    }

    @Test func whatAMessageRepeatsOfANameIsPrintable() async {
        for host in ["a\u{1b}[31mb.invalid", "a\u{0}b", String(repeating: "x", count: 5_000)] {
            do {
                let addresses = try await NameResolver().resolve(host: host, port: 1, on: self.loop).get()
                Issue.record("led to \(addresses)")
            } catch {
                let text = "\(error)"
                #expect(text.utf8.count <= 250)
                #expect(text.utf8.allSatisfy { (0x20...0x7E).contains($0) })
            }
        }
    }
}
