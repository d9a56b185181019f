"""All that is known in public about one model: the one thing that its pages are made from.

Owns the gathering from a vendor's directory. What is not there is left empty and the pages say
so; what is there and cannot be read is a fault with the file's name, never a silent gap. Opens
neither `offline/` nor `factory/`.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from limpet.crypto.suites import Suite
from limpet.errors import LimpetError
from limpet.product import Product, load_product
from limpet.storage import read_bounded
from limpet.vendor.home import Home
from limpet.vendor.repository import PublishedRelease, Repository
from limpet.wire.attestation import ATTESTATION_BYTES, attestation_path
from limpet.wire.codec import decode_json
from limpet.wire.release import sbom_path
from limpet.wire.rights import RIGHTS_BYTES, Rights, rights_path
from limpet.wire.rollout import Plan, PlanState
from limpet.wire.support import SupportStatement

from .mud import MudFiles, load_mud
from .records import (
    Advisory,
    Anchor,
    Bill,
    Evidence,
    Gate,
    KeyRole,
    list_roles,
    load_advisories,
    load_anchors,
    read_bill,
    read_evidence,
    read_gate,
)
from .records.bill import BILL_BYTES
from .records.evidence import EVIDENCE_BYTES, evidence_file

__all__ = ["Dossier", "ReleaseRecord", "load_dossier"]

MAX_RELEASES = 200
"""Releases that a page lists, the newest; the repository has all."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRecord:
    """One published release."""

    release: PublishedRelease
    standing: str = ""  # "offered to …", "withdrawn"; empty: neither
    sbom: str = ""  # SHA-256 of its bill of materials; empty: none was published
    gate: Gate | None = None

    @property
    def version(self) -> str:
        """Of the firmware."""
        return self.release.manifest.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """One model. Only `product` is always there."""

    product: Product
    statement: SupportStatement | None = None
    mud: MudFiles | None = None
    releases: tuple[ReleaseRecord, ...] = ()  # newest first
    bill: Bill | None = None
    bill_data: bytes = b""
    bill_of: str = ""  # the release
    rights: Rights | None = None
    evidence: Evidence | None = None
    evidence_data: bytes = b""
    advisories: tuple[Advisory, ...] = ()  # newest first
    roles: tuple[KeyRole, ...] = ()
    anchors: tuple[Anchor, ...] = ()
    suite: Suite | None = None
    faults: tuple[str, ...] = ()


class _Reader:
    """Reads what may be missing or damaged, and keeps count of the faults."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def read(self, what: object, look: Callable[[], T]) -> T | None:
        try:
            return look()
        except LimpetError as error:
            said = error.message
            self.faults.append(said if str(what) in said else f"{what}: {said}")
            return None

    def file(self, path: Path, parse: Callable[[bytes], T], *, max_bytes: int) -> T | None:
        """What `parse` makes of the file; None where there is none."""
        if not path.exists():
            return None
        return self.read(path.name, lambda: parse(read_bounded(path, max_bytes=max_bytes)))


def load_dossier(home: Home, *, clock: Callable[[], datetime]) -> Dossier:
    """What is known of the model in view. Raises for a damaged design file or repository."""
    reader, now = _Reader(), clock()
    product = load_product(home.product_file)
    repository = Repository(home, clock)
    releases = _releases(home, repository, reader)
    advisories, faults = load_advisories(home.public / "advisories")
    reader.faults += faults
    bill, bill_data, bill_of = _bill(home, releases, reader)
    place = evidence_file(home.public, home.model)
    found = reader.file(
        place, lambda data: (read_evidence(data, now=now), data), max_bytes=EVIDENCE_BYTES
    )
    return Dossier(
        product=product,
        statement=repository.support(),
        mud=_mud(home, product, now),
        releases=releases,
        bill=bill,
        bill_data=bill_data,
        bill_of=bill_of,
        rights=_rights(home, releases, reader),
        evidence=found[0] if found else None,
        evidence_data=found[1] if found else b"",
        advisories=tuple(one for one in advisories if _concerns(one, product, home)),
        roles=list_roles(repository.state(), home.model),
        anchors=reader.read("trust", lambda: load_anchors(home.trust)) or (),
        suite=reader.read("suite.toml", lambda: home.firmware_suite),
        faults=tuple(reader.faults),
    )


def _releases(home: Home, repository: Repository, reader: _Reader) -> tuple[ReleaseRecord, ...]:
    plan = repository.plan()
    found = []
    for one in reversed(repository.releases()[-MAX_RELEASES:]):
        found.append(
            ReleaseRecord(
                release=one,
                standing=_standing(one, plan),
                sbom=one.manifest.sbom or "",
                gate=_gate(home, one, reader),
            )
        )
    return tuple(found)


def _gate(home: Home, one: PublishedRelease, reader: _Reader) -> Gate | None:
    """The gate's word on a release, if its metadata names one."""
    if not one.attestation:
        return None
    file = home.repository / attestation_path(one.attestation)
    return reader.read(
        f"the gate's word on {one.manifest.version}",
        lambda: read_gate(
            read_bounded(file, max_bytes=ATTESTATION_BYTES),
            sha256=one.attestation,
            manifest_sha256=one.manifest_sha256,
            keys=home.gate_keys,
        ),
    )


def _standing(release: PublishedRelease, plan: Plan) -> str:
    if release.manifest_sha256 in plan.withdrawn:
        return "withdrawn"
    planned = plan.release
    if planned is None or planned.manifest_sha256 != release.manifest_sha256:
        return ""
    if plan.state is PlanState.WITHDRAWN:
        return "withdrawn"
    if plan.state in (PlanState.PAUSED, PlanState.HALTED):
        return f"its rollout is {plan.state.value}"
    return f"offered to {plan.admitted_ppm / 10_000:g} % of all devices"


def _bill(
    home: Home, releases: tuple[ReleaseRecord, ...], reader: _Reader
) -> tuple[Bill | None, bytes, str]:
    """Of the newest release that has one."""
    for one in releases:
        if not one.sbom:
            continue
        file = home.repository / sbom_path(one.sbom)
        read = reader.file(file, lambda data: (_parse_bill(data), data), max_bytes=BILL_BYTES)
        if read is not None:
            return read[0], read[1], one.version
        if not file.exists():
            reader.faults.append(f"{file.name} of {one.version} is not in the repository")
    return None, b"", ""


@lru_cache(maxsize=8)
def _parse_bill(data: bytes) -> Bill:
    """The service renders each minute, and a bill does not change."""
    return read_bill(data)


def _rights(home: Home, releases: tuple[ReleaseRecord, ...], reader: _Reader) -> Rights | None:
    for one in releases:
        digest = one.release.manifest.rights
        if not digest:
            continue
        file = home.repository / rights_path(digest)
        rights = reader.file(
            file,
            lambda data: decode_json(data, Rights, max_bytes=RIGHTS_BYTES),
            max_bytes=RIGHTS_BYTES,
        )
        if rights is not None:
            return rights
    return None


def _mud(home: Home, product: Product, now: datetime) -> MudFiles | None:
    """The MUD file of `product` as it is now; none for one without a host."""
    if not product.vendor.hosts:
        return None
    changed_at = datetime.fromtimestamp(os.stat(home.product_file).st_mtime, UTC)
    return load_mud(product, home.mud, now=now, changed_at=changed_at)


def _concerns(advisory: Advisory, product: Product, home: Home) -> bool:
    """An advisory whose product tree names this model; of a vendor with one model, each."""
    if len(home.settings.models) == 1:
        return True
    return bool(advisory.products & {product.model.name, product.model.display_name})
