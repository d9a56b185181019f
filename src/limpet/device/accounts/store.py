"""What accounts keeps on disk: one file, replaced whole, durable before any answer.

Owns the format and the file. A device must never fall back to unclaimed because its
records are damaged or gone: only the factory begins a new file.

Format 2 added people, second factors and transfers to format 1. Records that use none of
these are still written as format 1, so that firmware that comes back after a failed trial
can read them.
"""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from limpet.crypto.randomness import random_bytes
from limpet.device.accounts.countdown import Countdown, Deadline
from limpet.device.accounts.throttle import Throttle
from limpet.device.link.messages import Access, ClaimState
from limpet.errors import Rejected
from limpet.storage import read_bounded, write_atomic
from limpet.wire.codec import Message, decode_json, encode_json

__all__ = [
    "FILE",
    "Account",
    "ClaimVerifier",
    "Invitation",
    "KnownClient",
    "Offer",
    "Records",
    "SecondFactor",
    "Store",
    "StoredToken",
]

FILE = "accounts.json"
MAX_FILE_BYTES = 1 << 20

_ADVICE = "restore it from a copy and start the device again; its accounts stay locked until then"

Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]


class ClaimVerifier(Message, frozen=True, kw_only=True):
    """Salted SHA-256 of a code: with 80 random bits no slow hash is needed."""

    salt: bytes
    digest: Digest


class SecondFactor(Message, frozen=True, kw_only=True):
    """One-time codes (RFC 6238): the shared secret, and what of it was used up."""

    secret: Annotated[bytes, Meta(min_length=20, max_length=20)]
    last_step: int  # of the last code that was accepted; only later ones count
    recovery: tuple[Digest, ...] = ()  # codes that are left, hashed


class Account(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A person; `phc` is the Argon2id verifier."""

    name: str
    access: Access
    phc: str
    factor: SecondFactor | None = None


class StoredToken(Message, frozen=True, kw_only=True):
    """A session or an API token: only the hash of its secret. Unix times, in seconds."""

    token_id: str
    digest: Digest
    account: str
    access: Access
    label: str
    session: bool
    created: float
    expires: float
    used: float


class KnownClient(Message, frozen=True, kw_only=True):
    """A browser or program that once logged in: the hash of its device cookie."""

    client_id: str
    digest: Digest
    account: str
    used: float


class Invitation(Message, frozen=True, kw_only=True):
    """A code with which somebody gets an account."""

    invitation_id: str
    verifier: ClaimVerifier
    access: Access
    deadline: Deadline


class Offer(Message, frozen=True, kw_only=True):
    """A code with which somebody becomes the owner; `erase`: the data goes then."""

    verifier: ClaimVerifier
    deadline: Deadline
    erase: bool


class Records(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that accounts must remember.

    `claim` is the label's code. `fresh` is the one that a reset made: with it `label_sealed`
    says that the label alone, which others may have seen, opens nothing any more.
    """

    format: Annotated[int, Meta(ge=1, le=2)] = 1
    state: ClaimState = ClaimState.FACTORY
    claim: ClaimVerifier | None = None
    accounts: tuple[Account, ...] = ()
    tokens: tuple[StoredToken, ...] = ()
    known: tuple[KnownClient, ...] = ()
    throttle: Throttle = Throttle()
    throttle_wall: float = 0.0  # Unix time of throttle.time
    throttle_key: Digest
    erase_pending: bool = False  # the owner's data must still be erased
    fresh: ClaimVerifier | None = None
    label_sealed: bool = False
    invitations: tuple[Invitation, ...] = ()
    offer: Offer | None = None
    takeover: Countdown | None = None


class Store:
    """The file and its content in memory; `records` is what is durable."""

    def __init__(self, path: Path, records: Records) -> None:
        self._path = path
        self.records = records

    @classmethod
    def load(cls, directory: Path, *, fresh: bool = False) -> "Store":
        """Read the file below `directory`; begin a new one where there is none and it is `fresh`.

        Raises `Rejected("damaged-accounts")` for a file that is gone or does not hold its format.
        """
        path = directory / FILE
        if not path.exists():
            if fresh:
                return cls(path, Records(throttle_key=random_bytes(32)))
            raise Rejected("damaged-accounts", f"{path} is missing", hint=_ADVICE)
        try:
            data = read_bounded(path, max_bytes=MAX_FILE_BYTES)
            records = _migrated(decode_json(data, Records, max_bytes=MAX_FILE_BYTES))
        except Rejected as error:
            raise Rejected(
                "damaged-accounts",
                f"{path} is damaged: {error.message}",
                hint=_ADVICE,
            ) from error
        _verify_consistent(records, path)
        return cls(path, records)

    def save(self, **changes: object) -> None:
        """Replace fields of the records, durably; on `Unavailable` the old ones stand."""
        self.replace(msgspec.structs.replace(self.records, **changes))

    def replace(self, records: Records) -> None:
        """Make `records` the durable ones, or raise `Unavailable` and keep the old."""
        records = msgspec.structs.replace(records, format=_format_of(records))
        write_atomic(self._path, encode_json(records))
        self.records = records


def _format_of(records: Records) -> int:
    """The lowest format that can say this."""
    new = (records.fresh, records.label_sealed, records.invitations, records.offer)
    states = (ClaimState.OFFERED, ClaimState.CONTESTED, ClaimState.RESETTING)
    factors = any(account.factor is not None for account in records.accounts)
    return 2 if any(new) or records.takeover or records.state in states or factors else 1


def _migrated(records: Records) -> Records:
    """Format 1 had no state of its own for a reset whose second half must still happen."""
    if records.state is ClaimState.UNCLAIMED and records.erase_pending:
        return msgspec.structs.replace(records, state=ClaimState.RESETTING)
    return records


def _verify_consistent(records: Records, path: Path) -> None:
    """One owner where there is one at all, and each transfer's records with its state."""
    owners = sum(account.access is Access.OWNER for account in records.accounts)
    state = records.state
    contradictions = {
        f"{owners} owners": owners != (1 if state.has_owner else 0),
        "people without an owner": bool(records.accounts or records.invitations) and not owners,
        "an offer": (records.offer is not None) != (state is ClaimState.OFFERED),
        "a takeover": (records.takeover is not None) != (state is ClaimState.CONTESTED),
        "nothing to erase": state is ClaimState.RESETTING and not records.erase_pending,
    }
    wrong = next((what for what, holds in contradictions.items() if holds), None)
    if wrong is not None:
        raise Rejected(
            "damaged-accounts",
            f"{path} contradicts itself: state {state.value}, {wrong}",
            hint=_ADVICE,
        )
