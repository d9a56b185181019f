"""VEX in OpenVEX 0.2.0.

Owns the reading. Its schema takes no further fields, so that an expiry stands in `status_notes`,
as `limpet:expires=2027-01-31`.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

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

__all__ = ["read_openvex"]

_NOTED = re.compile(rf"(?:^|\s){re.escape(EXPIRES)}\s*=\s*(\S+)")
_JUSTIFICATIONS = frozenset(
    {
        "component_not_present",
        "vulnerable_code_not_present",
        "vulnerable_code_not_in_execute_path",
        "vulnerable_code_cannot_be_controlled_by_adversary",
        "inline_mitigations_already_exist",
    }
)


class _Identified(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="@id", default="")
    identifiers: dict[str, str] = {}


class _Product(_Identified, frozen=True):
    subcomponents: tuple[_Identified, ...] = ()


class _VexVulnerability(msgspec.Struct, frozen=True):
    name: str
    aliases: tuple[str, ...] = ()


class _Statement(msgspec.Struct, frozen=True):
    vulnerability: _VexVulnerability
    status: VexStatus
    products: tuple[_Product, ...] = ()
    timestamp: datetime | None = None
    last_updated: datetime | None = None
    status_notes: str = ""
    justification: str = ""
    impact_statement: str = ""
    action_statement: str = ""


class _OpenVex(msgspec.Struct, frozen=True):
    statements: tuple[_Statement, ...]
    author: str = ""
    timestamp: datetime | None = None
    last_updated: datetime | None = None


def read_openvex(data: bytes, source: str) -> Iterator[VexStatement]:
    """The statements of an OpenVEX document; its library's errors are the caller's to turn."""
    document = msgspec.json.decode(data, type=_OpenVex)
    for number, one in enumerate(document.statements):
        place = f"{source}, statements[{number}]"
        if one.justification and one.justification not in _JUSTIFICATIONS:
            message = f"{place}: {one.justification[:40]!r} is no justification"
            raise Rejected("malformed", message)
        noted = _NOTED.search(one.status_notes)
        words = _NOTED.sub("", one.status_notes).strip()
        for product, component in _find_products(one.products):
            yield VexStatement(
                names=frozenset({one.vulnerability.name, *one.vulnerability.aliases}),
                component=component,
                version=version_of(component) or "",
                product=product,
                status=one.status,
                justification=words if one.status is VexStatus.FIXED else one.justification,
                detail=one.impact_statement or words,
                action=one.action_statement.strip(),
                author=document.author.strip(),
                # A statement's own time goes before the document's ("Inheritance Flow").
                at=require_zone(one.last_updated or one.timestamp or document.timestamp, place),
                expires=parse_expiry(noted[1], place) if noted else None,
                source=place,
            )


def _find_products(products: Sequence[_Product]) -> Iterator[tuple[str, str]]:
    """What is in what: a subcomponent in its product, or the product by itself."""
    for product in products:
        purl = _purl_of(product)
        if not product.subcomponents and purl:
            yield "", purl
        for inner in product.subcomponents:
            if component := _purl_of(inner):
                yield purl or product.id or "?", component


def _purl_of(one: _Identified) -> str:
    candidates = (one.identifiers.get("purl", ""), one.id)
    return next((text for text in candidates if text.startswith("pkg:")), "")
