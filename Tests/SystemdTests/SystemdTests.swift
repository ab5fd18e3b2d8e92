import Testing

/// One after the other, because libsystemd is spoken to through the environment of the process.
@Suite(.serialized, .timeLimit(.minutes(5)))
enum SystemdTests {}
