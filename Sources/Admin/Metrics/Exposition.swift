/// The Prometheus text format, version 0.0.4.
enum Exposition {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    static func text(_ families: [String: MetricsRegistry.Family]) -> String {
        var out = ""
        for (name, family) in families.sorted(by: { $0.key < $1.key }) where !family.series.isEmpty {
            if !family.help.isEmpty { out += "# HELP \(name) \(help(family.help))\n" }
            out += "# TYPE \(name) \(family.kind.rawValue)\n"
            for (labels, cell) in family.series.sorted(by: { $0.key < $1.key }) {
                append(cell, name: name, labels: labels, to: &out)
            }
        }
        return out
    }

    private static func append(_ cell: MetricsRegistry.Cell, name: String, labels: String, to out: inout String) {
        switch cell {
        case .counter(let counter):
            out += "\(name)\(braced(labels)) \(counter.value)\n"
        case .gauge(let gauge):
            out += "\(name)\(braced(labels)) \(number(gauge.value))\n"
        case .histogram(let histogram):
            let (counts, sum) = histogram.snapshot
            var running: UInt64 = 0
            for (bound, count) in zip(histogram.bounds + [.infinity], counts) {
                running += count
                let bucket = (labels.isEmpty ? "" : labels + ",") + "le=\"\(number(bound))\""
                out += "\(name)_bucket\(braced(bucket)) \(running)\n"
            }
            out += "\(name)_sum\(braced(labels)) \(number(sum))\n"
            out += "\(name)_count\(braced(labels)) \(running)\n"
        }
    }

    private static func braced(_ labels: String) -> String { labels.isEmpty ? "" : "{\(labels)}" }

    /// `a="b",c="d"`, sorted by name; values are made printable and escaped. A later label of the same name is dropped.
    static func labels(_ labels: MetricsRegistry.Labels) -> String {
        var seen: Set<String> = []
        return labels.map { (labelName($0.0), $0.1) }
            .filter { seen.insert($0.0).inserted }
            .sorted { $0.0 < $1.0 }
            .map { "\($0.0)=\"\(value($0.1))\"" }
            .joined(separator: ",")
    }

    /// A label value: printable ASCII of at most 200 bytes, then backslash and quote escaped. Line feeds cannot be left after the
    /// first step.
    private static func value(_ text: String) -> String {
        SafeText.line(text).replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
    }

    private static func help(_ text: String) -> String {
        SafeText.line(text, limit: 400).replacing("\\", with: "\\\\")
    }

    /// Integers without a fraction, as people expect a count; otherwise the shortest text that reads back as the same number.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        return value.description
    }

    /// `name` with everything that Prometheus does not allow in a metric name replaced by `_`.
    static func metricName(_ name: String) -> String { identifier(name, colons: true) }

    private static func labelName(_ name: String) -> String { identifier(name, colons: false) }

    private static func identifier(_ name: String, colons: Bool) -> String {
        var out: [UInt8] = []
        for byte in name.utf8.prefix(SafeText.limit) {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): out.append(byte)
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                if out.isEmpty { out.append(UInt8(ascii: "_")) }
                out.append(byte)
            case UInt8(ascii: ":") where colons: out.append(byte)
            default: out.append(UInt8(ascii: "_"))
            }
        }
        return out.isEmpty ? "_" : String(decoding: out, as: UTF8.self)
    }
}
