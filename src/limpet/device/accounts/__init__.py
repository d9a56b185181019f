"""The accounts role: claim, credentials, sessions, throttling. It has no network.

Owns every verifier, counter and session of the device, and its owner's security
log. Never opens a socket, and never hands out a secret twice.
"""
