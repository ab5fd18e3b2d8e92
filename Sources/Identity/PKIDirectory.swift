import FoundationEssentials

/// The directory in which `gotunnelctl pki` keeps an authority and what it issued: `ca.crt`, `ca.key`, and for each certificate
/// `ROLE-NAME.crt` and `ROLE-NAME.key`. All files have mode 0600, and none is ever overwritten.
package struct PKIDirectory: Sendable {
    package let path: String

    package init(_ path: String) { self.path = path }

    package var authorityCertificate: String { "\(path)/ca.crt" }
    package var authorityKey: String { "\(path)/ca.key" }

    /// Makes a new authority (`pki init`).
    @discardableResult
    package func initialise(cluster: String, at now: Date) throws(IdentityProblem) -> CertificateAuthority {
        try refuseExisting([authorityCertificate, authorityKey])
        let authority = try CertificateAuthority.create(cluster: cluster, at: now)
        try StateFile.makeDirectory(path)
        try StateFile.write(Array(authority.keyPEM.utf8), to: authorityKey, mode: 0o600)
        try StateFile.write(Array(authority.certificatePEM.utf8), to: authorityCertificate, mode: 0o600)
        return authority
    }

    /// The authority that ``initialise(cluster:at:)`` made here.
    package func authority() throws(IdentityProblem) -> CertificateAuthority {
        let mend = "make an authority with `gotunnelctl pki init`"
        guard let certificate = try StateFile.read(authorityCertificate, as: .open) else {
            throw IdentityProblem(.missing, at: authorityCertificate, "does not exist", mend: mend)
        }
        guard let key = try StateFile.read(authorityKey) else {
            throw IdentityProblem(.missing, at: authorityKey, "does not exist", mend: mend)
        }
        return try CertificateAuthority.load(certificatePEM: certificate.text, keyPEM: key.text, place: path)
    }

    /// Issues a certificate (`pki issue`) and writes it and its key.
    ///
    /// - Returns: the paths of the two files.
    package func issue(
        role: CertificateRole, name: String, hostNames: [String] = [], at now: Date,
        validDays: Int = CertificateAuthority.issuedDays
    ) throws(IdentityProblem) -> (certificate: String, key: String) {
        let issued = try authority().issue(role: role, name: name, hostNames: hostNames, at: now, validDays: validDays)
        let certificatePath = "\(path)/\(role.rawValue)-\(name).crt"
        let keyPath = "\(path)/\(role.rawValue)-\(name).key"
        try refuseExisting([certificatePath, keyPath])
        try StateFile.write(Array(issued.keyPEM.utf8), to: keyPath, mode: 0o600)
        try StateFile.write(Array(issued.certificatePEM.utf8), to: certificatePath, mode: 0o600)
        return (certificatePath, keyPath)
    }

    private func refuseExisting(_ paths: [String]) throws(IdentityProblem) {
        for path in paths where StateFile.exists(path) {
            throw IdentityProblem(.exists, at: path, "already exists", mend: "remove it first if it is no longer needed")
        }
    }
}
