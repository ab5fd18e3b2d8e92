/// A table of plain text with aligned columns, as the commands print it.
package struct Table: Sendable {
    package enum Alignment: Sendable {
        case left, right
    }

    /// One column.
    package struct Column: Sendable {
        package var title: String
        package var alignment: Alignment

        package init(_ title: String, _ alignment: Alignment = .left) {
            self.title = title
            self.alignment = alignment
        }
    }

    /// Columns are not squeezed below this many characters, so that what is left still says something.
    private static let narrowest = 6
    private static let gap = "  "

    private let columns: [Column]
    private var rows: [[String]] = []

    package init(_ columns: [Column]) {
        self.columns = columns
    }

    /// Adds a row. Cells are made printable; missing ones are empty, surplus ones dropped, and an empty one is shown as `-`.
    package mutating func add(_ cells: [String]) {
        let cells = cells.prefix(columns.count) + Array(repeating: "", count: max(0, columns.count - cells.count))
        rows.append(cells.map { $0.isEmpty ? "-" : SafeText.line($0) })
    }

    package var isEmpty: Bool { rows.isEmpty }

    /// The lines of the table, each with its line feed, without blanks at their ends.
    ///
    /// - Parameter width: of the terminal; wider lines are made to fit by cutting the widest columns, marked with `…`. `nil`, for
    /// a pipe or a file,
    ///   cuts nothing.
    package func render(width: Int? = nil) -> String {
        let widths = fit(width)
        let titles = columns.map(\.title)
        return ([titles] + rows).map { line($0, widths) }.joined()
    }

    private func fit(_ limit: Int?) -> [Int] {
        var widths = columns.indices.map { index in
            rows.reduce(columns[index].title.count) { max($0, $1[index].count) }
        }
        guard let limit else { return widths }
        var total = widths.reduce(0, +) + Self.gap.count * max(0, widths.count - 1)
        while total > limit, let widest = widths.indices.max(by: { widths[$0] < widths[$1] }), widths[widest] > Self.narrowest {
            widths[widest] -= 1
            total -= 1
        }
        return widths
    }

    private func line(_ cells: [String], _ widths: [Int]) -> String {
        let padded = columns.indices.map { index -> String in
            let cell = cut(cells[index], to: widths[index])
            let blanks = String(repeating: " ", count: widths[index] - cell.count)
            return columns[index].alignment == .right ? blanks + cell : cell + blanks
        }
        var line = padded.joined(separator: Self.gap)
        while line.last == " " { line.removeLast() }
        return line + "\n"
    }

    private func cut(_ cell: String, to width: Int) -> String {
        cell.count <= width ? cell : cell.prefix(max(0, width - 1)) + "…"
    }
}
