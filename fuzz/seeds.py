"""Makes the seed corpus: `python -m fuzz.seeds` writes fuzz/corpus/ anew.

Owns sound inputs, one or a few for each target, from which the fuzzer starts. Keys
made here are used once and kept nowhere; only requests signed with them are written.
"""

import struct
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_csr

from fuzz.delta import delta_seeds
from fuzz.metadata import ROLES, seed
from limpet.crypto.certificates import issue_operational, make_root
from limpet.crypto.keys import generate_key
from limpet.crypto.requests import Purpose, make_request, verify_request
from limpet.crypto.suites import bundled_suites
from limpet.device.accounts.countdown import Countdown, Deadline
from limpet.device.accounts.store import (
    Account,
    ClaimVerifier,
    Invitation,
    Offer,
    Records,
    SecondFactor,
)
from limpet.device.announcer.messages import Kind as RecordKind
from limpet.device.announcer.messages import encode_name, name_of
from limpet.device.gateway import bodies, people_bodies
from limpet.device.gateway.routes import ROUTES, Operation
from limpet.device.link import messages as m
from limpet.device.supervisor.status import Listening
from limpet.device.updater.ledger import FileUse, Ledger
from limpet.device.updater.policy import Postponement
from limpet.firmware.archive import END, MAGIC, frame_entry
from limpet.firmware.codec import pack_group
from limpet.firmware.description import FirmwareDescription
from limpet.firmware.devices import SlotDevices
from limpet.firmware.slots import BootState, SlotRecord, Trial
from limpet.firmware.tree import Entry, Kind
from limpet.product import LabelClaim
from limpet.release import Revocation
from limpet.wire import factory
from limpet.wire.codec import encode_json, encode_packed
from limpet.wire.release import Bounds, Group, Image, ReleaseManifest
from limpet.wire.report import Report, ReportKind
from limpet.wire.rollout import Plan, PlannedRelease, PlanState
from limpet.wire.support import AfterSupport, SupportStatement

__all__ = ["make_seeds"]

_NOW = datetime(2026, 11, 22, tzinfo=UTC)
_DIGEST = "ab" * 32
_ROOT = Path(__file__).parents[1]
_HOST = b"Host: localhost\r\n"


def make_seeds() -> dict[str, dict[str, bytes]]:
    """Target -> name of the seed -> its bytes."""
    csr = make_request(generate_key(), model="thermostat", serial="TH-1", purpose=Purpose.SERVER)
    issuer = make_root("device root", now=_NOW)
    root = issuer.certificate_pem()
    lifetime = timedelta(days=30)
    chain = issue_operational(issuer, verify_request(csr), now=_NOW, lifetime=lifetime) + root
    der = load_pem_x509_csr(csr).public_bytes(Encoding.DER)
    wrapped = b"".join(csr.split(b"\n", 1)[1].rsplit(b"-----END", 1)[:1])
    return {
        "archive": {"tree": _archive()},
        "certificate": {"root": root, "chain": chain},
        "certificate-request": {"server": csr, "truncated": csr[:200], "not-pem": der},
        "delta": delta_seeds(),
        "dns": _datagrams(),
        "est": {"wrapped": wrapped, "unwrapped": wrapped.replace(b"\n", b"") + b"\n"},
        "group": {
            "sound": _group(b"content of a group " * 99),
            "bomb": _group(bytes(4 << 20)),
            "zstd": _zstd(),
        },
        "http": {name: b"\x08" + text for name, text in _requests().items()},
        "json": {type(one).__name__.lower(): encode_json(one) for one in _documents()},
        "label": {"sound": _label(), "start": b"limpet://claim?s=&c=&r="},
        "link": {"login": _frame(_messages()[0]), "two": _frame(*_messages()[:2])},
        "ownership": {name: _session(*steps) for name, steps in _SESSIONS.items()},
        "metadata": {role.partition("/")[0]: seed(role) for role in ROLES},
        "packed": {type(one).__name__.lower(): encode_packed(one) for one in _messages()},
        "product": {
            "thermostat": (_ROOT / "examples" / "thermostat" / "product.toml").read_bytes(),
            "long-number": b"[maker]\nname = 9" + b"9" * 5000 + b"\n",
        },
        "interface": _interfaces(),
        "suite": {file.stem: file.read_bytes() for file in bundled_suites().values()},
        "sbom": _sboms(),
        "query": {"plain": b"hours=3", "list": b'names=["a","b"]', "text": b"note=yes"},
    }


def _sboms() -> dict[str, bytes]:
    """Two documents: with all that is read of one, and with as little as another tool writes."""
    part = {
        "type": "library",
        "name": "openssl",
        "version": "4.0.3",
        "bom-ref": "a",
        "purl": "pkg:pypi/openssl@4.0.3?arch=amd64#x",
        "hashes": [{"alg": "SHA-256", "content": _DIGEST}],
        "licenses": [{"expression": "MIT OR Apache-2.0"}, {"license": {"id": "MIT"}}],
        "properties": [{"name": "limpet:origin", "value": "bundled"}],
        "components": [{"type": "file", "name": "inner", "bom-ref": "b"}],
    }
    asset = {
        "type": "cryptographic-asset",
        "name": "TLS",
        "bom-ref": "c",
        "evidence": {"occurrences": [{"location": "tls.py"}]},
        "cryptoProperties": {"assetType": "protocol", "protocolProperties": {"version": "1.3"}},
    }
    whole = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "urn:uuid:00000000-0000-0000-0000-000000000000",
        "metadata": {"component": {"type": "firmware", "name": "thermostat", "bom-ref": "d"}},
        "components": [part, asset],
        "services": [{"bom-ref": "e", "services": [{"bom-ref": "f"}]}],
        "dependencies": [{"ref": "d", "dependsOn": ["a", "e"]}, {"ref": "a", "dependsOn": ["b"]}],
    }
    least = {"bomFormat": "CycloneDX", "specVersion": "1.4", "components": [part]}
    return {"whole": msgspec.json.encode(whole), "least": msgspec.json.encode(least)}


def _interfaces() -> dict[str, bytes]:
    """Two documents with a NUL between them, and one as a manifest has it."""
    fields = {"degrees": {"type": "number", "maximum": 30}, "mode": {"enum": ["heat", "off"]}}
    target = {"type": "object", "properties": fields, "required": ["degrees"]}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/T"}}}}
    answer = {"anyOf": [{"type": "null"}, {"type": "array", "items": {"type": "integer"}}]}
    post = {
        "x-access": "member",
        "requestBody": body,
        "responses": {"200": {"content": {"application/json": {"schema": answer}}}},
    }
    document = {"paths": {"/v1/a": {"post": post}}, "components": {"schemas": {"T": target}}}
    old = msgspec.json.encode(document)
    new = old.replace(b"30", b"25").replace(b"member", b"owner")
    return {"two": old + b"\0" + new, "same": old + b"\0" + old, "packed": zlib.compress(old, 9)}


def _requests() -> dict[str, bytes]:
    login = b'{"name":"owner","password":"violet anchors drift"}'
    length = b"Content-Length: %d\r\n" % len(login)
    post = b"POST /v1/login HTTP/1.1\r\n" + _HOST + b"Content-Type: application/json\r\n"
    get = b"GET /v1/identity?a=b%20c HTTP/1.1\r\n" + _HOST
    return {
        "get": get + b"\r\n",
        "pipelined": (get + b"\r\n") * 3,
        "head": b"HEAD / HTTP/1.1\r\n" + _HOST + b"\r\n" + get + b"\r\n",
        "post": post + length + b"\r\n" + login,
        "continue": post + b"Expect: 100-continue\r\n" + length + b"\r\n" + login,
        "chunked": post + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "both-lengths": post + length + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "two-lengths": post + length + b"Content-Length: 3\r\n\r\n" + login,
        "upgrade": get + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "old": b"GET / HTTP/1.0\r\n" + _HOST + b"\r\n",
        "connect": b"CONNECT localhost:22 HTTP/1.1\r\n" + _HOST + b"\r\nSSH-2.0-x\r\n",
        "folded": get + b"X-Long: a\r\n b\r\n\r\n",
    }


def _datagrams() -> dict[str, bytes]:
    """Questions for the announcer: each kind of asker, and names that point about."""
    service = name_of("_limpet", "_tcp", "local")
    host = name_of("th-a1b2c3d4", "local")
    pointer, address = _question(service, RecordKind.PTR), _question(host, RecordKind.A)
    long = _question((b"x" * 63,) * 3 + (b"x" * 61,), RecordKind.A)
    known = struct.pack(">HHHIHH", 0xC00C, RecordKind.PTR, 1, 4500, 5, 0x0261) + b"b\xc0\x0c"
    return {
        "group": _ask(pointer),
        "alone": _ask(_question(service, RecordKind.PTR, top=True)),
        "legacy": b"\x01" + _ask(address)[1:],
        "direct": b"\x02" + _ask(address)[1:],
        "far": b"\x04" + _ask(address)[1:],
        "two": _ask(pointer, address),
        "compressed": _ask(pointer, b"\x04host\xc0\x19" + struct.pack(">2H", 255, 255)),
        "known": _ask(pointer, known=known),
        "repeated": b"\x01" + _ask(address, long, *[b"\xc0\x23\0\x01\0\x01"] * 14)[1:],
        "loop": _ask(b"\xc0\x0c\0\x0c\0\x01"),
        "response": b"\0" + struct.pack(">6H", 7, 0x8400, 1, 0, 0, 0) + pointer,
    }


def _question(name: tuple[bytes, ...], kind: int, *, top: bool = False) -> bytes:
    return encode_name(name) + struct.pack(">2H", kind, 0x8001 if top else 1)


def _ask(*questions: bytes, known: bytes = b"") -> bytes:
    """An input of the target: a byte that says who asks (`fuzz.dns`), and the message."""
    header = struct.pack(">6H", 7, 0, len(questions), bool(known), 0, 0)
    return b"\0" + header + b"".join(questions) + known


_O = Operation
_OWNERS = (1, 1)  # the newest credential, a body of the route's own kind
_SESSIONS: Mapping[str, tuple[tuple[Operation, int, int, int], ...]] = {
    "claim-and-use": (
        (_O.CLAIM, 0, 1, 0),
        (_O.CREATE_TOKEN, *_OWNERS, 0),
        (_O.READ_EVENTS, *_OWNERS, 0),
        (_O.LOGOUT, *_OWNERS, 0),
    ),
    "change-and-log-in": (
        (_O.CLAIM, 0, 1, 0),
        (_O.CHANGE_PASSWORD, *_OWNERS, 6),
        (_O.LOGIN, 0, 1, 1),
    ),
    "reset-and-claim-again": (
        (_O.CLAIM, 0, 1, 0),
        (_O.RESET, *_OWNERS, 0),
        (_O.READ_DEVICE, *_OWNERS, 0),
        (_O.CLAIM, 0, 1, 1),
    ),
    "invite-and-remove": (
        (_O.CLAIM, 0, 1, 0),
        (_O.INVITE_PERSON, *_OWNERS, 1),
        (_O.JOIN, 0, 1, 13),
        (_O.REMOVE_PERSON, *_OWNERS, 8),
        (_O.LOGIN, 0, 1, 9),
    ),
    "hand-over": (
        (_O.CLAIM, 0, 1, 0),
        (_O.OFFER_TRANSFER, *_OWNERS, 0),
        (_O.ACCEPT_TRANSFER, 0, 1, 4),
        (_O.READ_OWNERSHIP, *_OWNERS, 0),
    ),
    "guesses": ((_O.CLAIM, 0, 1, 64), (_O.CLAIM, 0, 1, 0), *(((_O.LOGIN, 0, 1, 1),) * 5)),
}


def _session(*steps: tuple[Operation, int, int, int]) -> bytes:
    place = {route.operation: number for number, route in enumerate(ROUTES)}
    return b"".join(bytes((place[operation], *more)) for operation, *more in steps)


def _archive() -> bytes:
    file = Entry("app/thermostat/__init__.py", Kind.FILE, 5)
    entries = [Entry("app", Kind.DIRECTORY, 0), Entry("app/thermostat", Kind.DIRECTORY, 0)]
    return MAGIC + b"".join(map(frame_entry, entries)) + frame_entry(file) + b"hello" + END


def _group(content: bytes) -> bytes:
    return min(len(content), 1 << 20).to_bytes(3, "big") + zlib.compress(content)


def _zstd() -> bytes:
    content = b"content of a group " * 99
    return len(content).to_bytes(3, "big") + pack_group(content)


def _label() -> bytes:
    return (
        LabelClaim(serial="TH-00000001", claim_code="0123-4567-89AB-CDEF", root_pin="A" * 43)
        .uri()
        .encode()
    )


def _frame(*messages: m.Request) -> bytes:
    frames = []
    for number, message in enumerate(messages):
        body = encode_packed(message)
        frames.append(struct.pack(">BII", 1, number, len(body)) + body)
    return b"\x00" + b"".join(frames)


def _messages() -> tuple[m.Request, ...]:
    return (
        m.Login(name="owner", password="violet anchors", source="192.0.2.1"),
        m.Authenticate(token="t" * 43),
        m.CallFunction(name="set_target", arguments=b'{"celsius":21}', access=m.Access.OWNER),
        m.SetUpdatePolicy(policy=m.UpdatePolicy()),
        m.LogEvent(level="info", event="listening", detail="127.0.0.1:1"),
        m.FactoryReset(token="t" * 43, password="violet", source="192.0.2.1"),
        m.InvitePerson(token="t" * 43, access=m.Access.MEMBER),
        m.OfferTransfer(token="t" * 43, password="violet", source="192.0.2.1"),
        m.TakeOver(code="0123456789ABCDEF", source="192.0.2.1"),
    )


def _documents() -> tuple[object, ...]:
    bounds = Bounds(not_before=_NOW, minimum_duration_seconds=3600, largest_step_ppm=100_000)
    group = Group(packed=10, size=20, sha256=_DIGEST)
    image = Image(
        path=f"images/{_DIGEST}.img", packed=10, size=20, codec="zlib", groups=(group,),
        tree_sha256=_DIGEST,
    )  # fmt: skip
    slot = SlotRecord(
        version="1.0.0", manifest_sha256=_DIGEST, tree_sha256=_DIGEST, security_counter=1
    )
    released = {
        "model": "thermostat", "hardware_revisions": ("A1",), "version": "1.1.0",
        "security_counter": 1, "interface_version": 1, "built_at": _NOW,
    }  # fmt: skip
    return (
        ReleaseManifest(**released, minimum_version="1.0.0", image=image, bounds=bounds),
        FirmwareDescription(**released),
        Plan(
            model="thermostat",
            state=PlanState.RUNNING,
            release=PlannedRelease(version="1.1.0", manifest_sha256=_DIGEST),
            admitted_ppm=50_000,
            named=("0123456789abcdef",),
            issued_at=_NOW,
        ),
        Report(
            model="thermostat", kind=ReportKind.HELD, running="1.0.0", slot="a", sequence=1, at=_NOW
        ),
        SupportStatement(
            model="thermostat",
            until=_NOW,
            after=AfterSupport.KEEPS_WORKING_LOCALLY,
            text="to the end",
            issued_at=_NOW,
        ),
        *_records_of_updates(),
        BootState(good="a", a=slot, b=slot, trial=Trial(slot="b", tries_left=1)),
        factory.Failure(reason="broken", message="no key"),
        bodies.LoginBody(name="owner", password="violet anchors"),
        bodies.TokenRequestBody(label="hub", access="viewer", lifetime_seconds=3600),
        m.UpdatePolicy(),
        Listening(host="127.0.0.1", port=8443),
        people_bodies.TransferBody(password="violet anchors", second="123456"),
        people_bodies.AccessBody(name="ada", access="viewer"),
        _records(),
    )


def _records_of_updates() -> tuple[object, ...]:
    return (
        Ledger(
            since=_NOW,
            files=(
                FileUse(
                    path=f"images/{_DIGEST}.img",
                    bytes=10,
                    tries=1,
                    refused=404,
                    refused_under="1 2",
                ),
            ),
        ),
        Postponement(until=_NOW),
        SlotDevices(a="/dev/mmcblk0p2", b="/dev/mmcblk0p3"),
        Revocation(model="thermostat", version="1.1.0"),
    )


def _records() -> Records:
    verifier = ClaimVerifier(salt=b"salt", digest=b"d" * 32)
    deadline = Deadline(life=Countdown(seconds=60.0, spent=1.0), until=1.0)
    factor = SecondFactor(secret=b"s" * 20, last_step=1, recovery=(b"r" * 32,))
    return Records(
        format=2,
        state=m.ClaimState.OFFERED,
        claim=verifier,
        accounts=(Account(name="ada", access=m.Access.OWNER, phc="$argon2id$", factor=factor),),
        throttle_key=b"k" * 32,
        invitations=(
            Invitation(
                invitation_id="1", verifier=verifier, access=m.Access.VIEWER, deadline=deadline
            ),
        ),
        offer=Offer(verifier=verifier, deadline=deadline, erase=True),
    )


def main() -> None:
    """Write every seed."""
    for target, seeds in make_seeds().items():
        directory = Path(__file__).with_name("corpus") / target
        directory.mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (directory / name).write_bytes(data)


if __name__ == "__main__":
    main()
