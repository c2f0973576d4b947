"""What docs/reliability.md reports, measured: ``python -m benchmarks.reliability``."""
