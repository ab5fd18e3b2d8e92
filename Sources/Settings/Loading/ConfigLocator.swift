/// Finds the configuration file: `--config`, `$GOTUNNEL_CONFIG`, `./config.yaml`, `/etc/gotunnel/config.yaml`.
package enum ConfigLocator {
    /// The variable that names the file.
    package static let variable = "GOTUNNEL_CONFIG"
    /// Where it is looked for when nothing names it, in order.
    package static let defaults = ["config.yaml", "/etc/gotunnel/config.yaml"]

    /// The path to load. One that was named is taken as it is, existing or not: a typing error must not load another file.
    package static func locate(argument: String?, in surroundings: Surroundings) throws(SettingsError) -> String {
        if let argument { return argument }
        if let named = surroundings.variable(variable) { return named }
        if let found = defaults.first(where: surroundings.files.exists) { return found }
        let places = defaults.joined(separator: " and ")
        throw SettingsError([
            Problem(
                file: "config.yaml", line: nil, key: nil, wrong: "no configuration: looked for \(places)",
                mend: "write one (gotunnelctl config example server or client) or name it with --config")
        ])
    }
}
