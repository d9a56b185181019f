"""What a new device must never go behind: the versions of the offline roles on the day it is made.

Owns their reading. A device that has never looked at the repository has no memory, and a thief of
all online keys could show it an older state that is still valid; the station gives it one
(docs/adr/0112). Believes the root of trust that goes into firmware, and what that leads to; the
repository may lie on a server.
"""

from tuf.api.metadata import Root

from limpet.errors import Rejected, naming
from limpet.storage import read_bounded
from limpet.vendor.home import Home
from limpet.vendor.repository._metadata import parse_metadata, releases_role, verify_delegated
from limpet.vendor.repository._shelf import Shelf
from limpet.vendor.repository._state import load_state
from limpet.wire.factory import SeenVersion
from limpet.wire.metadata import ROOT_BYTES

__all__ = ["load_first_floor"]

_HINT = "copy public/repository/metadata of the vendor to the station"


def load_first_floor(home: Home) -> dict[str, SeenVersion]:
    """Version and keys of `targets` and of the model's `releases` role, as published.

    Expiry is not judged: what has ended is no less seen. Raises `Rejected("bad-repository",
    "bad-signature")` where the newest root does not follow from the one in trust/, `Unavailable`.
    """
    shelf = Shelf(home.repository)
    with naming(home.repository, hint=_HINT):
        _verify_root(home, shelf)
        state = load_state(shelf)
    delegations = state.targets.delegations
    role = releases_role(home.model)
    if delegations is None or role not in (delegations.roles or {}):
        raise Rejected("bad-repository", f"targets does not delegate {role}")
    return {
        name: SeenVersion(version=signed.version, keys=tuple(sorted(delegator.keyids)))
        for name, signed, delegator in (
            ("targets", state.targets, state.root.roles["targets"]),
            (role, state.role(role), (delegations.roles or {})[role]),
        )
    }


def _verify_root(home: Home, shelf: Shelf) -> None:
    """That each root after the trusted one is signed as the one before asks (TUF 5.3.4)."""
    data = read_bounded(home.trust / "root.json", max_bytes=ROOT_BYTES)
    trusted = parse_metadata(data, Root, what="trust/root.json").signed
    if trusted.version > shelf.latest_root():
        raise Rejected("bad-repository", "the repository is older than trust/root.json", hint=_HINT)
    for version in range(trusted.version, shelf.latest_root() + 1):
        name = shelf.metadata_name("root", version)
        following = parse_metadata(shelf.read(name), Root, what=name)
        verify_delegated(trusted, "root", following, what=name)
        trusted = following.signed
