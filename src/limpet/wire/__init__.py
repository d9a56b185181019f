"""Typed messages and pure state machines that device and vendor share.

Holds no socket, clock or randomness: whoever sends, receives or decides passes
bytes and times in.
"""
