"""Fuzzing: the parsers that strangers reach, fed with what strangers send."""
