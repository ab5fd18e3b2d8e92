import Foundation
import NIOCore
import Testing
import TunnelSession
import TunnelWire

@testable import TunnelTransport

extension Transport {
    /// Many connections at once, while a session breaks.
    @Suite struct OpenerLoadTests {
        enum Break: Sendable, CaseIterable {
            /// The link, which comes back.
            case link
            /// The session with it.
            case session
        }

        /// What came of one program's connection.
        private enum Fate: Equatable {
            case answered
            case reset
            case other(String)
        }

        /// - Parameter bytes: how many pass before the break: in the midst of a thousand OPENs of forty bytes, or of answers.
        @Test(arguments: Break.allCases, [20_000, 70_000])
        func everyConnectionHasOneFate(breaking: Break, after bytes: Int) async throws {
            let count = 1_000
            try await OpenerBed.with { site in
                let backends = try site.backends()
                let path = site.paths[0]
                try await site.run { _ in
                    path.redials = breaking == .link
                    if breaking == .session { path.onLostLink = { path.driver?.end(.peerGone) } }
                }
                if breaking == .session {
                    // The server is not told of the end: it gives up on the session after this long.
                    try await path.run { driver, _ in driver.setResumeWindow(.milliseconds(500)) }
                }
                let programs = try await site.connectAll(count)
                site.beds[0].proxy.cut(after: bytes, .reset)
                try await site.openAll()
                let fates = try await onThread { Self.fates(of: programs) }

                // The OPENs alone, all sent at once, are 40 000 bytes. On a slow machine the answers may come from the
                // other session, which was asked meanwhile, and then fewer bytes than that pass here.
                #expect(path.losses.count == 1 || bytes > 40_000 && path.losses.count == 0)
                #expect(fates.filter { $0 != .answered && $0 != .reset } == [])
                let answered = fates.indices.filter { fates[$0] == .answered }.map { "program \($0)" }
                for backend in backends { try await backend.isLeftAlone() }
                let heard = backends.flatMap(\.texts.entries)
                #expect(Set(heard).count == heard.count, "said twice")
                #expect(Set(heard).isSuperset(of: answered))
                #expect(site.refusals.count == 0)
                // A link that comes back costs nobody anything; a session takes its open streams along.
                if breaking == .link { #expect(answered.count == count) }
                for program in programs { program.close() }
                try await site.settled()
            }
        }

        private static func fates(of programs: [RawSocket]) -> [Fate] {
            for (index, program) in programs.enumerated() {
                // Where this fails, the answer tells why.
                try? program.send("program \(index)")
                program.finish()
            }
            return programs.enumerated().map { index, program in
                do {
                    let answer = try program.answer()
                    return answer == "program \(index)" ? .answered : .other(answer)
                } catch let error as SocketError where error.code == ECONNRESET {
                    return .reset
                } catch {
                    return .other("\(error)")
                }
            }
        }
    }
}
