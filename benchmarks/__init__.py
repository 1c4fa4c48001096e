"""Measurements behind the documentation, and the demo; each runs as `python -m benchmarks.NAME`."""
