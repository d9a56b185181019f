"""How large TUF metadata may be: what devices read, and so what a vendor may publish.

Owns the numbers, which both sides keep to. Metadata that a vendor publishes and devices refuse
would keep them from every later release, since names are only added.
"""

from typing import Final

from limpet.errors import Rejected

__all__ = ["ROLE_BYTES", "ROOT_BYTES", "SNAPSHOT_BYTES", "TIMESTAMP_BYTES", "verify_size"]

ROOT_BYTES: Final = 512 << 10
TIMESTAMP_BYTES: Final = 16 << 10
SNAPSHOT_BYTES: Final = 64 << 10
"""About 140 bytes a role: 230 models of two roles each."""
ROLE_BYTES: Final = 1 << 20
"""Targets and what it delegates to: 6,000 releases of a model, or the keys of 270 models."""

_TOP: Final = {
    "root": ROOT_BYTES,
    "timestamp": TIMESTAMP_BYTES,
    "snapshot": SNAPSHOT_BYTES,
}


def verify_size(role: str, data: bytes) -> None:
    """Raise `Rejected("too-large")` unless devices read this metadata of `role`."""
    most = _TOP.get(role, ROLE_BYTES)
    if len(data) > most:
        raise Rejected(
            "too-large",
            f"the next {role} has {len(data)} bytes, and devices read {most}",
            hint="docs/repository.md, Limits, says what to do",
        )
