"""The parts of bench/run: paths to compare, what is measured on them, and the report."""
