"""The parts of demo/run: the services to reach, the breakable link, the traffic, and what is shown."""
