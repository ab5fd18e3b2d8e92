/// A part of a configuration file, with the line it stands on. The rest of the module sees this instead of the YAML library.
package struct ConfigNode {
    /// One `key: value` of a mapping.
    package struct Entry {
        package let key: String
        /// The line of the key, from 1.
        package let line: Int
        package let value: ConfigNode
        /// The line of the entry with the same key above it in the same mapping, if there is one.
        package let firstLine: Int?
    }

    package enum Content {
        /// Nothing, `~` or `null`.
        case nothing
        /// A scalar; `quoted` tells `"8"` from `8`.
        case text(String, quoted: Bool)
        case list([ConfigNode])
        case mapping([Entry])
    }

    package let content: Content
    /// The line on which it starts, from 1.
    package let line: Int

    /// What a message says was found here: `"two"`, `12`, `a list`, `a mapping`, `nothing`.
    package var shown: String {
        switch content {
        case .nothing: "nothing"
        case .list: "a list"
        case .mapping: "a mapping"
        case .text(let text, let quoted):
            if !quoted, !text.isEmpty, text.utf8.count <= 20, text.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2d }) {
                text
            } else {
                PrintableText.quoted(text)
            }
        }
    }
}
