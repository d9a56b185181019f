"""That what python-tuf verified was signed with keys of the suite's schemes only.

Owns the bound on python-tuf, which trusts any key that it can use, RSA and ECDSA too.
Runs after each of its steps, and before anything believes what that step verified.
"""

from collections.abc import Iterable
from pathlib import Path

from tuf.api.metadata import Metadata, Root, Signed, Targets

from limpet.crypto.suites import Suite, verify_firmware_schemes
from limpet.errors import Rejected
from limpet.storage import read_bounded

__all__ = ["ROOT_BYTES", "verify_delegations", "verify_roots"]

ROOT_BYTES = 1 << 19
"""Largest root metadata that is read."""


def verify_roots(cache: Path, first: int, last: int, suite: Suite) -> None:
    """Raise `Rejected("weak-key")` unless every key of each root from `first` to `last` fits.

    All of the chain, not its end: a weak key in the middle signs any root after it. `cache` is
    python-tuf's directory, which holds the whole chain once it has refreshed.
    """
    for version in range(first, last + 1):
        file = cache / "root_history" / f"{version}.root.json"
        root = Metadata[Root].from_bytes(read_bounded(file, max_bytes=ROOT_BYTES)).signed
        if not isinstance(root, Root):
            raise Rejected("malformed", f"version {version} of root is metadata of another role")
        schemes = (key.scheme for key in root.keys.values())
        verify_firmware_schemes(schemes, what=f"version {version} of root", suite=suite)


def verify_delegations(trusted: Iterable[Signed], path: str, suite: Suite) -> None:
    """Raise `Rejected("weak-key")` unless every key of each role that may sign `path` fits.

    `trusted` is all metadata that the client has verified, so that a role that a delegated role
    delegates to is held to the same. Raises `ValueError` for a role without its key.
    """
    for signed in trusted:
        if not isinstance(signed, Targets) or signed.delegations is None:
            continue
        for name, _ in signed.delegations.get_roles_for_target(path):
            keys = (signed.get_key(keyid) for keyid in signed.get_delegated_role(name).keyids)
            verify_firmware_schemes((key.scheme for key in keys), what=name, suite=suite)
