import Foundation
import Testing

@testable import ChaosHarness

#if canImport(Glibc)
import Glibc
#endif

extension MachineFaults {
    @Suite("A small disk", .enabled(if: isRoot, "needs root"))
    struct SmallDiskTests {
        /// The error number of writing one byte to a file of its own.
        private func failure(_ path: String) -> Int32 {
            let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
            guard file >= 0 else { return errno }
            defer { close(file) }
            return write(file, "x", 1) == 1 ? 0 : errno
        }

        @Test("it has no byte left when it is filled, again when somebody makes room, and is itself when it is freed")
        func full() async throws {
            try await withFolder { folder in
                let place = "\(folder)/a disk"
                let disk = try SmallDisk(at: place, bytes: 1 << 20)
                defer { disk.remove() }
                try Data(count: 200_000).write(to: URL(filePath: "\(place)/ballast"))
                #expect(self.failure("\(place)/before") == 0)
                try disk.fill()
                #expect(self.failure("\(place)/new") == ENOSPC)
                try FileManager.default.removeItem(atPath: "\(place)/ballast")
                // A file of one byte has a page of memory, which it may fill: each look is at another one.
                var looks = 0
                try await eventually("the room to be taken") {
                    looks += 1
                    return self.failure("\(place)/look-\(looks)") == ENOSPC
                }
                try disk.fill()
                disk.free()
                #expect(self.failure("\(place)/new") == ENOSPC, "it was filled twice")
                disk.free()
                #expect(self.failure("\(place)/new") == 0)
                #expect(FileManager.default.fileExists(atPath: "\(place)/before"))
                disk.empty()
                #expect(try FileManager.default.contentsOfDirectory(atPath: place).isEmpty)
                disk.remove()
                disk.remove()
                #expect(!Mounts.now().contains { $0.path == disk.path })
                #expect(FileManager.default.fileExists(atPath: place))
                #expect(throws: StageError.self) { try disk.fill() }
            }
        }

        @Test("one that is too small for anything is refused")
        func tiny() {
            #expect(throws: StageError.self) { try SmallDisk(at: "/nowhere", bytes: 10) }
        }
    }
}
