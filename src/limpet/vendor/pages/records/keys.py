"""Who holds which key, from what is public: the roles of TUF, and the anchors in the firmware.

Owns the reading. It sees identifiers, algorithms and thresholds; never a private key, and it opens
neither `offline/` nor `factory/`.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from limpet.crypto.chains import load_certificates
from limpet.storage import read_bounded
from limpet.vendor.repository import RepositoryState

__all__ = ["Anchor", "KeyRole", "list_roles", "load_anchors"]

_PEM_BYTES = 64 << 10
_ONLINE = ("timestamp", "snapshot", "rollout/")
_MAY = {
    "root": "says which keys the other roles have",
    "targets": "delegates firmware and plans of each model",
    "snapshot": "says which versions of metadata belong together",
    "timestamp": "says what is newest",
    "releases": "says what firmware exists, and how fast it may spread at most",
    "rollout": "offers a signed release, within its bounds",
}
_ANCHORS = {
    "device-root.pem": "devices' permanent and operational certificates",
    "service-root.pem": "the service's own certificate",
}


@dataclass(frozen=True, slots=True)
class KeyRole:
    """One role of the repository."""

    name: str
    may: str
    online: bool
    threshold: int
    keys: tuple[tuple[str, str], ...]  # identifier, scheme
    expires: str  # ISO date


@dataclass(frozen=True, slots=True)
class Anchor:
    """A certificate that firmware trusts."""

    name: str
    of: str
    subject: str
    sha256: str  # of its public key (SubjectPublicKeyInfo)
    expires: str


def list_roles(state: RepositoryState, model: str) -> tuple[KeyRole, ...]:
    """The roles that a device of `model` goes by, the mightiest first."""
    root, targets = state.root, state.targets
    dates = {
        "root": root.expires,
        "targets": targets.expires,
        "snapshot": state.snapshot.expires,
        "timestamp": state.timestamp.expires,
    }
    found = []
    for name, date in dates.items():
        role = root.roles[name]
        keys = tuple((each, root.keys[each].scheme) for each in role.keyids if each in root.keys)
        found.append(_role(name, role.threshold, keys, f"{date:%Y-%m-%d}"))
    delegations = targets.delegations
    for name in (f"releases/{model}", f"rollout/{model}"):
        delegated = (delegations.roles or {}).get(name) if delegations else None
        if delegations is not None and delegated is not None:
            known = delegations.keys
            keys = tuple((one, known[one].scheme) for one in delegated.keyids if one in known)
            expires = f"{state.role(name).expires:%Y-%m-%d}"
            found.append(_role(name, delegated.threshold, keys, expires))
    order = ["root", "targets", f"releases/{model}", f"rollout/{model}", "snapshot", "timestamp"]
    return tuple(sorted(found, key=lambda role: order.index(role.name)))


def load_anchors(trust: Path) -> tuple[Anchor, ...]:
    """The certificates in `trust`. Raises `Unavailable`, `Rejected("bad-certificate")`."""
    found = []
    for name, of in _ANCHORS.items():
        for one in load_certificates(read_bounded(trust / name, max_bytes=_PEM_BYTES)):
            key = one.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            found.append(
                Anchor(
                    name=name,
                    of=of,
                    subject=one.subject.rfc4514_string(),
                    sha256=hashlib.sha256(key).hexdigest(),
                    expires=f"{one.not_valid_after_utc:%Y-%m-%d}",
                )
            )
    return tuple(found)


def _role(name: str, threshold: int, keys: tuple[tuple[str, str], ...], expires: str) -> KeyRole:
    may = _MAY[name.partition("/")[0]]
    return KeyRole(name, may, name.startswith(_ONLINE), threshold, keys, expires)
