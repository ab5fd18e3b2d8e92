"""What the demonstration and the benchmarks share: child processes, ports, certificates, and a configured tunnel."""
