import Foundation
import Testing
import TunnelWire

@Suite struct WireIDDocumentTests {
    @Test func thirtyTwoDigits() throws {
        let id = WireID(high: 0x0001_0203_0405_0607, low: 0x0809_0A0B_0C0D_0E0F)
        let document = try JSONEncoder().encode([id])
        #expect(String(decoding: document, as: UTF8.self) == #"["000102030405060708090a0b0c0d0e0f"]"#)
        #expect(try JSONDecoder().decode([WireID].self, from: document) == [id])
    }

    @Test(arguments: [#"["0001"]"#, #"["zz0102030405060708090a0b0c0d0e0f"]"#, "[7]", #"[""]"#])
    func anythingElseIsRefused(document: String) {
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([WireID].self, from: Data(document.utf8)) }
    }
}
