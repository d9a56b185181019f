"""Fuzzing: the parsers that strangers reach, fed with what strangers send (see docs/robustness.md)."""
