"""What docs/performance.md reports, measured as ratios side by side in one run."""
