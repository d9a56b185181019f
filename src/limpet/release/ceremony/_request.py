"""The signing request: one file that goes from hand to hand, and comes back with signatures.

Owns its form, its bounds, and how signatures of several people are put together. Believes nothing
of it: what it asks for is verified from the signer's own root of trust (`_chain`, `_releases`,
`_holders`). A file is replaced whole or not at all.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta
from securesystemslib.exceptions import StorageError
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Targets
from tuf.api.serialization import DeserializationError

from limpet.crypto.suites import Suite
from limpet.errors import Rejected, naming
from limpet.firmware.signatures import families_of, verify_all_keys, verify_role_signatures
from limpet.storage import read_bounded, write_atomic
from limpet.wire.codec import Message, Moment, decode_json, encode_json

__all__ = [
    "MAX_ROOTS",
    "OTHER_SUITE",
    "REQUEST_BYTES",
    "Kind",
    "SigningRequest",
    "load_request",
    "merge_requests",
    "parse_role",
    "parse_root_version",
    "save_request",
    "verify_kept_schemes",
    "verify_signed",
    "with_signatures",
]

REQUEST_BYTES = 16 << 20
"""Largest request that anyone reads: a megabyte of metadata twice, a manifest, and the roots."""

OTHER_SUITE = "if other algorithms were agreed on: their suite.toml lies beside your root.json?"
"""What a signer may lack who was not at the ceremony that changed them."""

MAX_ROOTS = 256
_MAX_ROLES = 256
_ROLE = "^(root|targets|releases/[a-z0-9][a-z0-9-]{0,62})$"

Kind = Literal["release", "support", "revocation", "holders", "online", "model"]
RoleName = Annotated[str, Meta(pattern=_ROLE)]
Files = Annotated[dict[RoleName, bytes], Meta(max_length=_MAX_ROLES)]
S = TypeVar("S", Root, Targets)


class SigningRequest(Message, frozen=True, kw_only=True):
    """What somebody asks the holders of offline keys to sign, and what they need to judge it."""

    spec: Literal["limpet-signing-request-1"] = "limpet-signing-request-1"
    kind: Kind
    made_at: Moment  # UTC, as the requester's clock said
    roots: Annotated[tuple[bytes, ...], Meta(min_length=1, max_length=MAX_ROOTS)]  # all, in order
    current: Files  # what is published, below root
    proposed: Files  # what shall follow, with the signatures so far
    subject: bytes = b""  # manifest, statement or revocation; of keys none
    before: bytes = b""  # the manifest of the release before
    gate: bytes = b""  # the gate's word on a release

    @property
    def digest(self) -> str:
        """SHA-256 over all but the signatures: two files of one request have the same."""
        bare = {role: parse_role(role, data).signed_bytes for role, data in self.proposed.items()}
        return hashlib.sha256(encode_json(msgspec.structs.replace(self, proposed=bare))).hexdigest()


def load_request(file: Path) -> SigningRequest:
    """The request in `file`. Raises `Rejected("malformed" | "too-large")`, `Unavailable`."""
    with naming(file, hint="ask for the file again"):
        data = read_bounded(file, max_bytes=REQUEST_BYTES)
        return decode_json(data, SigningRequest, max_bytes=REQUEST_BYTES)


def save_request(request: SigningRequest, file: Path) -> None:
    """Write `file`, wholly or not at all. Raises `Rejected("too-large")`, `Unavailable`."""
    data = encode_json(request)
    if len(data) > REQUEST_BYTES:
        raise Rejected("too-large", f"the request has {len(data)} bytes; {REQUEST_BYTES} are read")
    write_atomic(file, data, mode=0o644)


def with_signatures(
    request: SigningRequest, signed: Mapping[str, "Metadata[Root] | Metadata[Targets]"]
) -> SigningRequest:
    """The request with these as what is proposed."""
    proposed = {role: metadata.to_bytes() for role, metadata in signed.items()}
    return msgspec.structs.replace(request, proposed={**request.proposed, **proposed})


def merge_requests(requests: Iterable[SigningRequest]) -> SigningRequest:
    """One request with the signatures of all, in any order; a key counts once.

    Raises `Rejected("other-request")` where they do not ask for the same.
    """
    first, *others = requests
    merged = {role: parse_role(role, data) for role, data in first.proposed.items()}
    for other in others:
        if other.digest != first.digest:
            raise Rejected(
                "other-request",
                "these files do not ask for the same: one was changed, or is of another request",
                hint="merge files of one request only",
            )
        for role, data in other.proposed.items():
            for keyid, signature in parse_role(role, data).signatures.items():
                merged[role].signatures.setdefault(keyid, signature)
    return with_signatures(first, merged)


def parse_role(role: str, data: bytes) -> "Metadata[Root] | Metadata[Targets]":
    """Metadata of `role`, not verified. Raises `Rejected("malformed")`."""
    kind = Root if role == "root" else Targets
    try:
        metadata: Metadata[Root] | Metadata[Targets] = Metadata.from_bytes(data)
    except (DeserializationError, StorageError, RecursionError) as error:
        raise Rejected("malformed", f"what is said of {role} is not TUF metadata") from error
    if not isinstance(metadata.signed, kind):
        raise Rejected("malformed", f"what is said of {role} is metadata of another kind")
    return metadata


def parse_root_version(request: SigningRequest) -> int:
    """Which root a request proposes, if it does. Raises `Rejected("other-kind")`."""
    if "root" not in request.proposed:
        raise Rejected("other-kind", "this request signs firmware", hint="limpet release merge")
    return parse_role("root", request.proposed["root"]).signed.version


def verify_signed(
    delegator: Root | Targets, role: str, metadata: "Metadata[S]", *, what: str, suite: Suite
) -> None:
    """Raise `Rejected` unless `delegator`'s threshold for `role`, and each family, signed it."""
    try:
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as error:
        raise Rejected("bad-signature", f"{what} is not signed as it must be: {error}") from error
    families = families_of(role, suite)
    verify_role_signatures(
        delegator, role, metadata, what=what, families=families, hint=OTHER_SUITE
    )


def verify_kept_schemes(delegator: Root | Targets, *, what: str, suite: Suite) -> None:
    """Raise `Rejected("weak-key")` where a key is named that no device accepts."""
    verify_all_keys(delegator, what=what, suite=suite)
