"""Stage one: chooses a slot, counts tries, starts the supervisor from it.

Owns the one process that is not part of any slot, and the only decision before
firmware runs: which slot. No network, no parsing of data that came from it. It
runs from the installed package, so that no update can take it away.
"""
