"""That what python-tuf verified was signed as the suite asks: its schemes only, each family.

Owns the bound on python-tuf, which trusts any key that it can use, RSA and ECDSA too, and
counts keys whatever their algorithm. Runs after each of its steps, and before anything
believes what that step verified.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from tuf.api.metadata import Metadata, Root, Signed, Targets

from limpet.crypto.suites import Suite
from limpet.errors import Rejected
from limpet.firmware.signatures import (
    families_of,
    verify_all_keys,
    verify_role_signatures,
    verify_signer_keys,
)
from limpet.storage import read_bounded
from limpet.wire.metadata import ROOT_BYTES

__all__ = ["verify_delegations", "verify_roots", "verify_targets"]

LoadRole = Callable[[str], "Metadata[Targets] | None"]
"""The metadata of a role as python-tuf has just verified it, with its signatures; None for a role
that it has not looked at."""


def verify_roots(cache: Path, first: int, last: int, suite: Suite) -> None:
    """Hold each root from `first` to `last` to the suite, or raise `Rejected`.

    `weak-key`: a key of another scheme. `bad-signature`: a family has not signed, of the keys of
    the root before or of its own (TUF 1.0.33, 5.3.4 and 5.3.5). All of the chain, not its end: a
    weak link in the middle signs any root after it. `cache` is python-tuf's directory, which
    holds the whole chain once it has refreshed.
    """
    before: Root | None = None
    for version in range(first, last + 1):
        file = cache / "root_history" / f"{version}.root.json"
        metadata = Metadata[Root].from_bytes(read_bounded(file, max_bytes=ROOT_BYTES))
        root, what = metadata.signed, f"version {version} of root"
        if not isinstance(root, Root):
            raise Rejected("malformed", f"{what} is metadata of another role")
        verify_all_keys(root, what=what, suite=suite)
        families = families_of("root", suite)
        for signer in (before, root):
            if signer is not None:
                verify_role_signatures(signer, "root", metadata, what=what, families=families)
        before = root


def verify_targets(root: Root, load: LoadRole, suite: Suite) -> None:
    """Raise `Rejected("bad-signature")` unless each family of root's keys signed targets."""
    metadata, families = load("targets"), families_of("targets", suite)
    if metadata is None:
        raise Rejected("bad-signature", "there is no targets")
    verify_role_signatures(root, "targets", metadata, what="targets", families=families)


def verify_delegations(trusted: Iterable[Signed], path: str, load: LoadRole, suite: Suite) -> None:
    """Hold each role that may sign `path`, and what it signed, to the suite, or raise `Rejected`.

    `trusted` is all metadata that the client has verified, so that a role that a delegated role
    delegates to is held to the same. What a path is, not what a role calls itself, decides which
    families sign it. Raises `ValueError` for a role without its key.
    """
    families = families_of(path, suite)
    for signed in trusted:
        if not isinstance(signed, Targets) or signed.delegations is None:
            continue
        for name, _ in signed.delegations.get_roles_for_target(path):
            verify_signer_keys(signed, name, path=path, suite=suite)
            metadata = load(name)
            if metadata is not None:
                verify_role_signatures(signed, name, metadata, what=name, families=families)
