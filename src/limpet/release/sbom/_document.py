"""The shape of a CycloneDX document, as far as limpet reads it.

Owns the types. What is not here is passed over: a document of another tool says much more. What is
here is strict in its types, so that nothing is read as what it is not.
"""

from typing import Any

from msgspec import Struct, field

__all__ = ["CryptoPart", "Document", "Hash", "LicenceChoice", "Part", "Property"]


class _Read(Struct, frozen=True, rename="camel"):
    """Part of a document: unknown members are passed over."""


class Hash(_Read, frozen=True):
    """A digest."""

    alg: str
    content: str


class Property(_Read, frozen=True):
    """A name with a value, which may be missing."""

    name: str | None = None
    value: str | None = None


class Licence(_Read, frozen=True):
    """One named licence."""

    id: str | None = None
    name: str | None = None


class LicenceChoice(_Read, frozen=True):
    """A licence or an expression of several."""

    license: Licence | None = None
    expression: str | None = None


class _Algorithm(_Read, frozen=True):
    primitive: str | None = None
    parameter_set_identifier: str | None = None


class _Protocol(_Read, frozen=True):
    type: str | None = None
    version: str | None = None


class _Material(_Read, frozen=True):
    type: str | None = None


class CryptoPart(_Read, frozen=True):
    """cryptoProperties (CycloneDX 1.6 and later)."""

    asset_type: str
    algorithm_properties: _Algorithm | None = None
    protocol_properties: _Protocol | None = None
    related_crypto_material_properties: _Material | None = None


class Occurrence(_Read, frozen=True):
    """A place where something was found."""

    location: str | None = None


class Evidence(_Read, frozen=True):
    """Only the places; what else counts as evidence differs between versions."""

    occurrences: list[Occurrence] | None = None


class Part(_Read, frozen=True):
    """A component; what it is made of may be inside."""

    type: str
    name: str
    version: str | None = None
    group: str | None = None
    purl: str | None = None
    bom_ref: str | None = field(name="bom-ref", default=None)
    hashes: list[Hash] | None = None
    licenses: list[LicenceChoice] | None = None
    properties: list[Property] | None = None
    evidence: Evidence | None = None
    crypto_properties: CryptoPart | None = None
    components: list["Part"] | None = None


class Metadata(_Read, frozen=True):
    """Of it: what the document describes."""

    component: Part | None = None


class Service(_Read, frozen=True):
    """A service, which dependencies may lead to."""

    bom_ref: str | None = field(name="bom-ref", default=None)
    services: list["Service"] | None = None


class Dependency(_Read, frozen=True):
    """Who needs what, by references."""

    ref: str
    depends_on: list[str] | None = None


class Document(_Read, frozen=True):
    """The whole. The first members tell whether it is one at all."""

    bom_format: Any = None
    spec_version: Any = None
    spdx_version: Any = None
    serial_number: str | None = None
    metadata: Metadata | None = None
    components: list[Part] | None = None
    services: list[Service] | None = None
    dependencies: list[Dependency] | None = None
