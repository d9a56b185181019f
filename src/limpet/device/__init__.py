"""The device runtime: one sub-package per process, tied by inherited socket pairs.

Imports nothing of the vendor, the release tools, the audit or the owner's
client; a device ships only what a device needs.
"""
