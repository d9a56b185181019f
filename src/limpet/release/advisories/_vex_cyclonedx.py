"""VEX in CycloneDX (ECMA-424): `vulnerabilities[].analysis` with what it affects.

Owns the reading. Its author is the document's (`metadata.authors`, else manufacturer or supplier),
its expiry a property of the vulnerability. A version range is not followed: a statement is about
exact versions.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from urllib.parse import unquote

import msgspec

from limpet.errors import Rejected

from ._vex import (
    EXPIRES,
    VexStatement,
    VexStatus,
    parse_expiry,
    require_zone,
    version_of,
)

__all__ = ["read_cyclonedx"]

_STATES: Mapping[str, VexStatus] = {
    "resolved": VexStatus.FIXED,
    "resolved_with_pedigree": VexStatus.FIXED,
    "exploitable": VexStatus.AFFECTED,
    "in_triage": VexStatus.UNDER_INVESTIGATION,
    "false_positive": VexStatus.NOT_AFFECTED,
    "not_affected": VexStatus.NOT_AFFECTED,
}
_JUSTIFICATIONS = frozenset(
    {
        "code_not_present",
        "code_not_reachable",
        "requires_configuration",
        "requires_dependency",
        "requires_environment",
        "protected_by_compiler",
        "protected_at_runtime",
        "protected_at_perimeter",
        "protected_by_mitigating_control",
    }
)


class _Named(msgspec.Struct, frozen=True):
    name: str = ""
    email: str = ""


class _Property(msgspec.Struct, frozen=True):
    name: str = ""
    value: str = ""


class _BomComponent(msgspec.Struct, frozen=True):
    reference: str = msgspec.field(name="bom-ref", default="")
    name: str = ""
    version: str = ""
    purl: str = ""
    components: tuple["_BomComponent", ...] = ()


class _Metadata(msgspec.Struct, frozen=True):
    timestamp: datetime | None = None
    authors: tuple[_Named, ...] = ()
    manufacturer: _Named | None = None
    supplier: _Named | None = None
    component: _BomComponent | None = None


class _Analysis(msgspec.Struct, frozen=True, rename="camel"):
    state: str = ""
    justification: str = ""
    response: tuple[str, ...] = ()
    detail: str = ""
    first_issued: datetime | None = None
    last_updated: datetime | None = None


class _Reference(msgspec.Struct, frozen=True):
    id: str = ""


class _AffectedVersion(msgspec.Struct, frozen=True):
    version: str = ""
    range: str = ""
    status: str = "affected"


class _Affects(msgspec.Struct, frozen=True):
    ref: str
    versions: tuple[_AffectedVersion, ...] = ()


class _Vulnerability(msgspec.Struct, frozen=True):
    id: str = ""
    references: tuple[_Reference, ...] = ()
    analysis: _Analysis | None = None
    affects: tuple[_Affects, ...] = ()
    workaround: str = ""
    properties: tuple[_Property, ...] = ()


class _Bom(msgspec.Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    components: tuple[_BomComponent, ...] = ()
    vulnerabilities: tuple[_Vulnerability, ...] = ()


def read_cyclonedx(data: bytes, source: str) -> Iterator[VexStatement]:
    """The statements of a CycloneDX document; its library's errors are the caller's to turn."""
    bom = msgspec.json.decode(data, type=_Bom)
    known = dict(_list_purls(bom.components))
    for number, one in enumerate(bom.vulnerabilities):
        place = f"{source}, vulnerabilities[{number}]"
        if one.analysis is None or not one.analysis.state:
            continue  # a finding, no statement about it
        status = _STATES.get(one.analysis.state)
        if status is None:
            raise Rejected("malformed", f"{place}: {one.analysis.state[:40]!r} is no state")
        for affects in one.affects:
            for component, version in _find_subjects(affects, known):
                yield VexStatement(
                    names=frozenset({one.id, *(ref.id for ref in one.references)} - {""}),
                    component=component,
                    version=version,
                    status=status,
                    justification=_justify(one.analysis, place),
                    detail=one.analysis.detail,
                    action=_find_action(one),
                    author=_find_author(bom.metadata),
                    at=require_zone(
                        one.analysis.last_updated
                        or one.analysis.first_issued
                        or bom.metadata.timestamp,
                        place,
                    ),
                    expires=_find_expiry(one.properties, place),
                    source=place,
                )


def _list_purls(components: Sequence[_BomComponent]) -> Iterator[tuple[str, str]]:
    for one in components:
        if one.reference and one.purl:
            yield one.reference, one.purl
        yield from _list_purls(one.components)


def _find_subjects(affects: _Affects, known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Package and version: of the component that is referred to, and only exact ones.

    A BOM-Link leads into another document by `#`; its fragment helps where it is a purl.
    """
    fragment = unquote(affects.ref.rpartition("#")[2]) if affects.ref.startswith("urn:") else ""
    purl = known.get(affects.ref) or fragment or affects.ref
    version = version_of(purl)
    if version is None:
        return
    listed = {one.version for one in affects.versions if one.version and one.status != "unknown"}
    if version and (not affects.versions or version in listed):
        yield purl, version
    elif not version:
        for one in sorted(listed):
            yield purl, one


def _justify(analysis: _Analysis, place: str) -> str:
    """The label; where the format has none (fixed, false positive), what is said in words."""
    if analysis.justification:
        if analysis.justification not in _JUSTIFICATIONS:
            message = f"{place}: {analysis.justification[:40]!r} is no justification"
            raise Rejected("malformed", message)
        return analysis.justification
    return analysis.detail.strip() if analysis.state != "not_affected" else ""


def _find_action(one: _Vulnerability) -> str:
    if one.workaround.strip():
        return one.workaround.strip()
    response = one.analysis.response if one.analysis else ()
    helpful = [word for word in response if word in ("workaround_available", "update", "rollback")]
    return ", ".join(helpful)


def _find_author(metadata: _Metadata) -> str:
    for one in (*metadata.authors, metadata.manufacturer, metadata.supplier):
        if one and (one.name.strip() or one.email.strip()):
            return one.name.strip() or one.email.strip()
    return ""


def _find_expiry(properties: Sequence[_Property], place: str) -> datetime | None:
    values = [one.value for one in properties if one.name == EXPIRES]
    return min((parse_expiry(text, place) for text in values), default=None)
