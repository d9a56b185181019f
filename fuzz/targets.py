"""The targets: each takes any bytes, and returns unless limpet breaks a promise on them.

Owns the promises, as assertions: a boundary parser answers `Rejected` and nothing
else, and what it accepts means the same when it is written and read again.
"""

import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from fuzz.delta import read_delta
from fuzz.dns import answer_datagram
from fuzz.http import serve_bytes
from fuzz.link import feed_link
from fuzz.metadata import read_metadata
from fuzz.names import TARGET_NAMES
from fuzz.ownership import run_session
from limpet.crypto.chains import verify_chain
from limpet.crypto.policy import certificate_hash
from limpet.crypto.requests import Purpose, verify_request
from limpet.crypto.suites import TlsUse, parse_suite
from limpet.crypto.suites._types import CIPHERS
from limpet.device.accounts.events import Entry as SecurityEntry
from limpet.device.accounts.store import Records
from limpet.device.app._notices import _File as NoticeFile
from limpet.device.app._state import _File as AppState
from limpet.device.enclosure._entering import Enclosure
from limpet.device.gateway import bodies
from limpet.device.gateway.arguments import read_query
from limpet.device.gateway.compartments import _Status as RoleStates
from limpet.device.gateway.people_bodies import OwnershipBody
from limpet.device.gateway.routes import ROUTES
from limpet.device.keeper._floor import _Record as KeeperRecord
from limpet.device.link import messages as m
from limpet.device.link.identity import DeviceIdentity
from limpet.device.link.journal import Entry as LogEntry
from limpet.device.link.welcome import Welcome
from limpet.device.supervisor.status import DeviceStatus, Listening
from limpet.device.updater.floor import Floor
from limpet.device.updater.ledger import Ledger
from limpet.device.updater.policy import Postponement
from limpet.device.updater.progress import Progress
from limpet.device.updater.rest import Rested
from limpet.device.updater.way import DeltaRecord
from limpet.errors import Rejected
from limpet.firmware.archive import ArchiveReader, ReaderState
from limpet.firmware.codec import Codec
from limpet.firmware.description import FirmwareDescription
from limpet.firmware.devices import SlotDevices
from limpet.firmware.image import GROUP_BYTES, PACKED_BYTES, open_group
from limpet.firmware.installation import _Journal as Journal
from limpet.firmware.interface import (
    compare_interfaces,
    describe_changes,
    pack_interface,
    read_interface,
    unpack_interface,
)
from limpet.firmware.slots import BootState
from limpet.firmware.slots import _Sealed as Sealed
from limpet.owner.security_log import SealedEntry
from limpet.owner.store import DeviceRecord
from limpet.product import examine_product, parse_label_uri
from limpet.release import Revocation
from limpet.release.advisories._vex_cyclonedx import _Bom as VexBom
from limpet.release.advisories._vex_documents import _Kind as VexKind
from limpet.release.advisories._vex_openvex import _OpenVex as OpenVex
from limpet.release.ceremony._memory import Memory as SignersMemory
from limpet.release.ceremony._request import SigningRequest
from limpet.release.disclosure._csaf import Advisory as CsafAdvisory
from limpet.release.gate._past import _Advisory as PastAdvisory
from limpet.release.sbom import read_sbom
from limpet.vendor.enrollment.est import decode_request
from limpet.vendor.home._layout import Settings
from limpet.vendor.pages.records.evidence import Evidence as AuditEvidence
from limpet.vendor.repository.rekeying import _Order as RekeyingOrder
from limpet.vendor.store import ErrorRates
from limpet.wire import factory
from limpet.wire.attestation import Attestation
from limpet.wire.attestation import _Envelope as Envelope
from limpet.wire.codec import decode_json, decode_packed, encode_json, encode_packed
from limpet.wire.release import Group, ReleaseManifest
from limpet.wire.report import Report
from limpet.wire.rights import Rights
from limpet.wire.rollout import Plan
from limpet.wire.support import SupportStatement
from limpet.wire.watch import WatchRecord

__all__ = ["JSON_KINDS", "TARGETS"]

MAX_BYTES = 64 << 10

_BODIES = tuple(
    dict.fromkeys(
        route.reads
        for route in ROUTES
        if isinstance(route.reads, type) and issubclass(route.reads, msgspec.Struct)
    )
)
JSON_KINDS = (
    Plan,
    ReleaseManifest,
    SupportStatement,
    Report,
    factory.DeviceReply,
    factory.FromStation,
    FirmwareDescription,
    DeviceIdentity,
    BootState,
    Progress,
    Floor,
    ReaderState,
    *_BODIES,
    Records,
    SecurityEntry,
    LogEntry,
    DeviceStatus,
    Listening,
    Journal,
    KeeperRecord,
    Settings,
    DeviceRecord,
    RoleStates,
    Sealed,
    AppState,
    NoticeFile,
    Rested,
    DeltaRecord,
    Ledger,
    Postponement,
    SlotDevices,
    Revocation,
    OwnershipBody,
    SealedEntry,
    Enclosure,
    Welcome,
    ErrorRates,
    RekeyingOrder,
    WatchRecord,
    SigningRequest,
    SignersMemory,
    PastAdvisory,
    CsafAdvisory,
    Rights,
    AuditEvidence,
    Envelope,
    Attestation,
    VexBom,
    VexKind,
    OpenVex,
)
"""Every JSON document that limpet reads from another party, or from a disk that lost power."""


def _json(data: bytes) -> None:
    for kind in JSON_KINDS:
        try:
            value = decode_json(data, kind, max_bytes=MAX_BYTES)  # type: ignore[var-annotated]
        except Rejected:
            continue
        written = encode_json(value)
        _judge_moments(value)
        again = decode_json(written, kind, max_bytes=len(written))  # type: ignore[var-annotated]
        assert again == value, kind
        assert encode_json(again) == written, kind


def _judge_moments(value: object) -> None:
    """A time without a zone cannot be compared with the clock: it must not come in at all."""
    if isinstance(value, datetime):
        assert value.tzinfo is not None
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            _judge_moments(getattr(value, name))


def _packed(data: bytes) -> None:
    for kind in (m.Request, m.Reply):
        try:
            value = decode_packed(data, kind, max_bytes=MAX_BYTES)
        except Rejected:
            continue
        written = encode_packed(value)
        assert encode_packed(decode_packed(written, kind, max_bytes=len(written))) == written


def _product(data: bytes) -> None:
    product, problems = examine_product(data)
    assert product is not None or problems
    for problem in problems:
        line = problem.text("product.toml")
        assert line.isprintable(), line


def _label(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    try:
        claim = parse_label_uri(text)
    except Rejected as error:
        code = text.partition("c=")[2].partition("&")[0]
        if len(code) >= 16 and code in error.message:
            raise AssertionError("a code in a message") from error
        return
    assert parse_label_uri(claim.uri()) == claim
    assert claim.claim_code not in repr(claim)


def _certificate(data: bytes) -> None:
    """A chain that a server or a device shows."""
    now = datetime(2026, 11, 22, tzinfo=UTC)
    try:
        found = verify_chain(data, data, now=now, purpose=Purpose.SERVER)
    except Rejected:
        return
    assert found.leaf is not None


def _certificate_request(data: bytes) -> None:
    try:
        request = verify_request(data)
    except Rejected:
        return
    assert request.serial
    assert request.model


def _est(data: bytes) -> None:
    try:
        pem = decode_request(data)
    except Rejected:
        return
    _certificate_request(pem)


def _archive(data: bytes) -> None:
    """However the stream is cut, and wherever power failed, the tree is the same."""
    assert _unpacked([data]) == _unpacked(_pieces(data))


def _pieces(data: bytes) -> list[bytes]:
    step = 1 + (data[-1] % 61 if data else 0)
    return [data[at : at + step] for at in range(0, len(data), step)]


def _unpacked(pieces: list[bytes]) -> tuple[list[object], str]:
    state, found, content = ReaderState(), [], b""
    try:
        for piece in pieces:
            reader = ArchiveReader(
                msgspec.json.decode(msgspec.json.encode(state), type=ReaderState)
            )
            for event in reader.feed(piece):
                data = getattr(event, "data", None)
                if data is None:
                    found.append((content, event))
                    content = b""
                else:
                    content += data
            state = reader.state
        ArchiveReader(state).finish()
    except Rejected as error:
        return [(name, begun.entry) for name, begun in found], error.reason
    for _, begun in found:
        parts = begun.entry.name.split("/")
        assert ".." not in parts
        assert "" not in parts
    return [*found, content], ""


def _group(data: bytes) -> None:
    """A signed group of these bytes never yields more than its size, nor any error but ours."""
    size = int.from_bytes(data[:3], "big") % (GROUP_BYTES + 1)
    packed = data[3 : 3 + PACKED_BYTES]
    if not packed or not size:
        return
    codecs: tuple[Codec, ...] = ("zlib", "zstd")
    for codec in codecs:
        try:
            open_group(packed, Group(packed=len(packed), size=size, sha256="0" * 64), codec)
        except Rejected:
            continue
        raise AssertionError("bytes with a hash that cannot be right")


_READING = bodies.FunctionBody(
    name="history",
    kind="reading",
    access="viewer",
    summary="what was",
    arguments={
        "properties": {
            "hours": {"type": "integer"},
            "names": {"type": "array", "items": {"type": "string"}},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        }
    },
    result={},
)


def _query(data: bytes) -> None:
    # The server has decoded the query strictly already: no lone surrogate comes this far.
    name, _, value = data.decode("utf-8", "replace").partition("=")
    try:
        read = read_query(_READING, {name: value})
    except Rejected:
        return
    assert list(msgspec.json.decode(read)) == [name]


def _sbom(data: bytes) -> None:
    """Every reference of what is taken leads to a component, and nothing of it can reach a terminal
    as anything but text."""
    try:
        sbom = read_sbom(data, "sbom")
    except Rejected as error:
        _judge_text(error.message)
        return
    known = {sbom.subject.reference, *(one.reference for one in sbom.components)}
    assert len(known) == len(sbom.components) + 1
    assert known.issuperset(sbom.dependencies)
    assert known.issuperset(one for targets in sbom.dependencies.values() for one in targets)
    for one in sbom.components:
        _judge_text("".join((one.name, one.version, one.purl, one.kind, *one.licences)))


def _judge_text(text: str) -> None:
    assert text.isprintable()


def _suite(data: bytes) -> None:
    """What is taken as a suite names nothing that is unknown, and leaves no use without rules."""
    try:
        suite = parse_suite(data)
    except Rejected:
        return
    for use in TlsUse:
        rules = suite.tls_rules(use)
        assert rules.groups
        assert rules.signatures
        assert set(rules.ciphers) <= set(CIPHERS)
    assert all(suite.firmware.offline)
    assert certificate_hash(suite).digest_size >= 32


def _interface(data: bytes) -> None:
    """Two documents, compared as before an installation; or one as a manifest packs it."""
    old, _, new = data.partition(b"\0")
    with contextlib.suppress(Rejected):
        document = unpack_interface(data)
        assert unpack_interface(pack_interface(document)) == document
    with contextlib.suppress(Rejected):
        before = read_interface(old)
        assert not describe_changes(compare_interfaces(before, before))
        assert len(describe_changes(compare_interfaces(before, read_interface(new)))) < 400


_RUN: Mapping[str, Callable[[bytes], None]] = {
    "archive": _archive,
    "certificate": _certificate,
    "certificate-request": _certificate_request,
    "delta": read_delta,
    "dns": answer_datagram,
    "est": _est,
    "group": _group,
    "http": serve_bytes,
    "interface": _interface,
    "json": _json,
    "label": _label,
    "link": feed_link,
    "metadata": read_metadata,
    "ownership": run_session,
    "packed": _packed,
    "product": _product,
    "query": _query,
    "sbom": _sbom,
    "suite": _suite,
}
TARGETS = {name: _RUN[name] for name in TARGET_NAMES}
