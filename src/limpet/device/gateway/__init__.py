"""The gateway role: the only process of a device that accepts from the network.

Owns TLS, HTTP, admission and routing. Never sees a password's hash or a
permanent key, starts no program, and decides nothing about a password or a
function: it asks the role that does.
"""
