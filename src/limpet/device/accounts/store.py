"""What accounts keeps on disk: one file, replaced whole, durable before any answer.

Owns the format and the file. A device must never fall back to unclaimed because its
records are damaged or gone: only the factory begins a new file.
"""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from limpet.crypto.randomness import random_bytes
from limpet.device.accounts.throttle import Throttle
from limpet.device.link.messages import Access, ClaimState
from limpet.errors import Rejected
from limpet.storage import read_bounded, write_atomic
from limpet.wire.codec import Message, decode_json, encode_json

__all__ = [
    "FILE",
    "Account",
    "ClaimVerifier",
    "KnownClient",
    "Records",
    "Store",
    "StoredToken",
]

FILE = "accounts.json"
MAX_FILE_BYTES = 1 << 20

_ADVICE = "restore it from a copy and start the device again; its accounts stay locked until then"

Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]


class ClaimVerifier(Message, frozen=True, kw_only=True):
    """Salted SHA-256 of the label's code: with 80 random bits no slow hash is needed."""

    salt: bytes
    digest: Digest


class Account(Message, frozen=True, kw_only=True):
    """A person; `phc` is the Argon2id verifier."""

    name: str
    access: Access
    phc: str


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


class Records(Message, frozen=True, kw_only=True):
    """Everything that accounts must remember."""

    format: Annotated[int, Meta(ge=1, le=1)] = 1
    state: ClaimState = ClaimState.FACTORY
    claim: ClaimVerifier | None = None
    accounts: tuple[Account, ...] = ()
    tokens: tuple[StoredToken, ...] = ()
    known: tuple[KnownClient, ...] = ()
    throttle: Throttle = Throttle()
    throttle_wall: float = 0.0  # Unix time of throttle.time
    throttle_key: Digest
    erase_pending: bool = False  # a factory reset whose second half must still happen


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
            records = decode_json(data, Records, max_bytes=MAX_FILE_BYTES)
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
        write_atomic(self._path, encode_json(records))
        self.records = records


def _verify_consistent(records: Records, path: Path) -> None:
    """A claimed device has an owner, one that waits for its owner has none."""
    owners = any(account.access is Access.OWNER for account in records.accounts)
    if owners != (records.state is ClaimState.CLAIMED):
        raise Rejected(
            "damaged-accounts",
            f"{path} contradicts itself: state {records.state.value}, owner {owners}",
            hint=_ADVICE,
        )
