"""What every table of a design file has in common."""

import msgspec

__all__ = ["Part"]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the design file: immutable, every key known."""
