"""A door."""

from ._lock import turn

__all__ = ["turn"]
