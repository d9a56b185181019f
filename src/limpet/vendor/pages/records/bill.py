"""A bill of materials (CycloneDX, ECMA-424), as far as a page shows it.

Owns the reading. It takes any CycloneDX JSON document, also another tool's, and passes over what
it does not show.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from limpet.wire.codec import decode_json

__all__ = ["BILL_BYTES", "Algorithm", "Bill", "Part", "read_bill"]

BILL_BYTES = 32 << 20
"""Longest document that is read; 2,000 components with all their hashes are 3 MB."""

MAX_PARTS = 20_000

Short = Annotated[str, Meta(max_length=500)]
_CRYPTOGRAPHIC = "cryptographic-asset"


class _Hash(msgspec.Struct, frozen=True):
    alg: Short
    content: Annotated[str, Meta(pattern="^[0-9a-fA-F]{1,128}$")]


class _Licence(msgspec.Struct, frozen=True):
    id: Short = ""
    name: Short = ""


class _Choice(msgspec.Struct, frozen=True):
    license: _Licence | UnsetType = UNSET
    expression: Annotated[str, Meta(max_length=2000)] = ""

    @property
    def words(self) -> str:
        if self.expression or isinstance(self.license, UnsetType):
            return self.expression
        return self.license.id or self.license.name


class _Algorithm(msgspec.Struct, frozen=True):
    primitive: Short = ""
    parameterSetIdentifier: Short = ""
    nistQuantumSecurityLevel: int | None = None


class _Crypto(msgspec.Struct, frozen=True):
    assetType: Short = ""
    oid: Short = ""
    algorithmProperties: _Algorithm | UnsetType = UNSET


class _Component(msgspec.Struct, frozen=True):
    type: Short
    name: Short
    version: Short = ""
    purl: Annotated[str, Meta(max_length=2000)] = ""
    hashes: tuple[_Hash, ...] = ()
    licenses: tuple[_Choice, ...] = ()
    cryptoProperties: _Crypto | UnsetType = UNSET


class _Subject(msgspec.Struct, frozen=True):
    component: _Component | UnsetType = UNSET


class _Document(msgspec.Struct, frozen=True):
    bomFormat: Literal["CycloneDX"]
    specVersion: Annotated[str, Meta(pattern=r"^1\.[0-9]{1,2}$")]
    serialNumber: Short = ""
    metadata: _Subject | UnsetType = UNSET
    components: Annotated[tuple[_Component, ...], Meta(max_length=MAX_PARTS)] = ()


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One component."""

    name: str
    version: str
    kind: str
    purl: str
    licences: tuple[str, ...]
    sha256: str  # empty where the document gives none


class Algorithm(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the cryptographic inventory."""

    name: str
    kind: str  # algorithm, certificate, protocol, …
    primitive: str
    parameters: str
    oid: str
    quantum_level: int | None


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """What a firmware is made of."""

    spec_version: str
    serial: str
    parts: tuple[Part, ...]  # by name
    algorithms: tuple[Algorithm, ...]

    @property
    def unlicensed(self) -> int:
        """How many parts state no licence."""
        return sum(not part.licences for part in self.parts)


def read_bill(data: bytes) -> Bill:
    """The document in `data`. Raises `Rejected("malformed" | "too-large")`."""
    document = decode_json(data, _Document, max_bytes=BILL_BYTES)
    parts, algorithms = [], []
    for one in document.components:
        if one.type == _CRYPTOGRAPHIC:
            algorithms.append(_algorithm(one))
        else:
            parts.append(_part(one))
    return Bill(
        spec_version=document.specVersion,
        serial=document.serialNumber,
        parts=tuple(sorted(parts, key=lambda part: (part.name.lower(), part.version))),
        algorithms=tuple(sorted(algorithms, key=lambda one: (one.kind, one.name))),
    )


def _part(one: _Component) -> Part:
    sha256 = next((each.content.lower() for each in one.hashes if each.alg == "SHA-256"), "")
    words = dict.fromkeys(choice.words for choice in one.licenses if choice.words)
    return Part(
        name=one.name,
        version=one.version,
        kind=one.type,
        purl=one.purl,
        licences=tuple(words),
        sha256=sha256,
    )


def _algorithm(one: _Component) -> Algorithm:
    crypto = one.cryptoProperties if isinstance(one.cryptoProperties, _Crypto) else _Crypto()
    found = crypto.algorithmProperties
    properties = found if isinstance(found, _Algorithm) else _Algorithm()
    return Algorithm(
        name=one.name,
        kind=crypto.assetType,
        primitive=properties.primitive,
        parameters=properties.parameterSetIdentifier,
        oid=crypto.oid,
        quantum_level=properties.nistQuantumSecurityLevel,
    )
