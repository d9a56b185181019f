"""Firmware as data: the tree, the image, the slots, and the rules for installing.

Owns the image format, the digest of a tree, boot's record of the two slots, and
the pure decisions on a release. Knows no network, no process and no clock: bytes,
facts and times are parameters.
"""
