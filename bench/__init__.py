"""Measurements of the whole, as ratios within one run: see docs/benchmarks.md."""
