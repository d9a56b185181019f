"""The supervisor: starts the roles, ties them together, watches and restarts them.

Owns the processes and links of one slot. No network, no parsing of what came from
it: it reads typed messages of its own roles, and files that boot wrote.
"""
