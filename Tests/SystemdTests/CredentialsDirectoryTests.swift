import Foundation
import Systemd
import Testing

extension SystemdTests {
    @Suite struct CredentialsDirectoryTests {
        @Test func aCredentialIsAFileOfTheDirectory() throws {
            let path = NSTemporaryDirectory() + "/gotunnel-credentials-\(UInt32.random(in: 0 ... .max))"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            defer { try? FileManager.default.removeItem(atPath: path) }
            try Data("secret".utf8).write(to: URL(filePath: "\(path)/token"))
            try Environment.with(["CREDENTIALS_DIRECTORY": path]) { () throws in
                let credentials = try #require(CredentialsDirectory.current)
                #expect(credentials.file("token") == "\(path)/token")
                #expect(credentials.file("cluster-secret") == nil)
                #expect(credentials.file("../\(path.split(separator: "/").last ?? "")/token") == nil)
                for name in ["", ".", "..", "/token", "to:ken", "to\nken"] { #expect(credentials.file(name) == nil) }
            }
        }

        @Test(arguments: [[:], ["CREDENTIALS_DIRECTORY": ""], ["CREDENTIALS_DIRECTORY": "relative"]])
        func withoutADirectoryThereIsNone(variables: [String: String]) {
            // Set or not, a variable of the test's own name is restored.
            let all = ["CREDENTIALS_DIRECTORY": ""].merging(variables) { $1 }
            Environment.with(all) { #expect(CredentialsDirectory.current == nil) }
        }
    }
}
