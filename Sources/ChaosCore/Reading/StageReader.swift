import Settings

/// `stage:` of a scenario.
enum StageReader {
    static func read(_ section: Section) -> StageLayout {
        var stage = StageLayout()
        stage.network = section.value("network", .word(StageLayout.Network.self, example: "namespaces")) ?? stage.network
        stage.servers = section.value("servers", .number(1...9, example: "3")) ?? stage.servers
        stage.spares = section.value("spares", .number(0...3, example: "1")) ?? stage.spares
        stage.clients = section.value("clients", .number(1...20, example: "2")) ?? stage.clients
        stage.fleet = section.value("fleet", .number(0...5_000, example: "300")) ?? stage.fleet
        stage.links = section.value("links", .number(1...9, example: "2")) ?? stage.links
        stage.isSupervised = section.value("supervised", .boolean) ?? false
        stage.needsFaultsBuild = section.value("faults_build", .boolean) ?? false
        stage.disk = section.value("disk", .size((1 << 20)...(1 << 30), example: "8MiB"))
        stage.roundTrip = section.value("round_trip", .time) ?? .zero
        stage.serverLines = self.lines("server", section)
        stage.serviceLines = self.lines("service", section)
        stage.clientLines = self.lines("client", section)
        section.finish()
        return stage
    }

    /// Lines of config.yaml, each in quotes.
    private static func lines(_ key: String, _ section: Section) -> [String] {
        (section.list(key, .line, example: "[\"drain_timeout: 10s\"]", most: 50) ?? []).map(\.value)
    }
}

/// `traffic:` of a scenario.
enum TrafficReader {
    static func read(_ section: Section) -> TrafficLayout {
        var traffic = TrafficLayout()
        traffic.new = section.value("new", .decimal(0...500, example: "20")) ?? traffic.new
        traffic.get = section.value("get", .decimal(0...500, example: "20")) ?? traffic.get
        traffic.watches = section.value("watches", .number(0...500, example: "10")) ?? traffic.watches
        if let interval = section.value("event_interval", .duration(.milliseconds(10)...(.seconds(60)), example: "200ms")) {
            traffic.eventInterval = Int(interval.inMilliseconds)
        }
        traffic.execs = section.value("execs", .number(0...200, example: "4")) ?? traffic.execs
        traffic.lists = section.value("lists", .decimal(0...100, example: "0.5")) ?? traffic.lists
        traffic.listBytes = section.value("list_bytes", .size(1...(64 << 20), example: "2MiB")) ?? traffic.listBytes
        traffic.uploads = section.value("uploads", .decimal(0...100, example: "0.5")) ?? traffic.uploads
        traffic.uploadBytes = section.value("upload_bytes", .size(1...(16 << 20), example: "1MiB")) ?? traffic.uploadBytes
        if let patience = section.value("patience", .duration(.milliseconds(100)...(.seconds(600)), example: "10s")) {
            traffic.patience = patience.inSeconds
        }
        traffic.mapped = section.value("mapped", .number(0...100, example: "2")) ?? traffic.mapped
        section.finish()
        return traffic
    }
}
