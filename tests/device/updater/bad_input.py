"""Bad input, file by file and way by way: what each cell does, and how the device answers.

The cells are tests (test_bad_input.py) and a table of docs/update-attacks.md. The first three ways
need the network or the server's files; the last two are signed by the true keys, of the file itself
and of all that name it.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.device.updater.attacks import Case, offered
from tests.device.updater.resigning import document_of, published_anew, replaced, signed_anew
from tests.device.updater.signed_delta import Streams, offer_by_delta, sign_raw
from tests.device.updater.simulator import MODEL, RELEASES, ROLLOUT, make_manifest
from tests.firmware.deltas.make import LITERAL, MAGIC, delta, op, segment

from limpet.crypto.attesting import new_attesting_key
from limpet.firmware import archive
from limpet.firmware.codec import pack_group
from limpet.wire.attestation import attestation_path
from limpet.wire.codec import encode_json
from limpet.wire.release import Group
from limpet.wire.rollout import plan_path
from limpet.wire.support import support_path

__all__ = ["CELLS", "KINDS", "WAITS", "WAYS", "Cell", "Kind", "mend"]

WAYS = {
    "damaged": "a bit changed",
    "truncated": "its second half missing",
    "oversized": "8 MiB behind it",
    "wrong-typed": "a field of another type, signed",
    "wrong-version": "another version of its format, signed",
}
WAITS = frozenset({"unreachable"})
_BEHIND = b" " * (8 << 20)
_GATE = new_attesting_key()

Deed = Callable[[Case], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file: where its newest one lies, and what is tried with it."""

    name: str
    prefix: str  # of its file's name
    typed: Deed
    version: Deed
    answers: tuple[str, str, str, str, str]
    """By way, in their order: the reason of the refusal (or of the wait, of `WAITS`); empty if
    the release is installed all the same."""
    before: Deed = offered
    after: Deed = lambda case: None  # what the vendor signs anew, beside its next release
    suffix: str = ""

    def deeds(self) -> tuple[Deed, ...]:
        """What is done, by way."""
        return (
            lambda case: _change(case, self, _flipped),
            lambda case: _change(case, self, lambda data: data[: len(data) // 2]),
            lambda case: _change(case, self, lambda data: data + _BEHIND),
            self.typed,
            self.version,
        )


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind in one way."""

    kind: Kind
    way: str
    deed: Deed
    reason: str


def _change(case: Case, kind: Kind, how: Callable[[bytes], bytes]) -> None:
    files = case.repository.files
    name = [n for n in files if n.startswith(kind.prefix) and n.endswith(kind.suffix)][-1]
    files[name] = how(files[name])


def _flipped(data: bytes) -> bytes:
    """A bit of a signature, where there is one; else of the middle."""
    at = data.find(b'"sig":') + 20 if b'"sig":' in data else len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


# --- metadata


def _metadata(
    role: str, typed: tuple[tuple[str, ...], Any], answers: tuple[str, str, str, str, str]
) -> Kind:
    def signed(path: tuple[str, ...], value: Any) -> Deed:
        def deed(case: Case) -> None:
            document = replaced(document_of(case.repository, role), path, value)
            data = signed_anew(case.repository, role, document)
            case.repository.files = published_anew(case.repository, role, data)

        return deed

    prefix = {"root": "metadata/2.root", "timestamp": "metadata/timestamp"}.get(role, "metadata/")
    return Kind(
        name=f"`{role.replace(MODEL, '<model>')}`",
        prefix=prefix,
        suffix=f"{role}.json",
        typed=signed(*typed),
        version=signed(("spec_version",), "2.0.0"),
        before=_new_root if role == "root" else offered,
        answers=answers,
    )


def _new_root(case: Case) -> None:
    """The vendor has signed a second root, which devices have to read."""
    offered(case)
    case.repository.root.version = 2
    case.repository.publish_root()


def mend(case: Case, sound: dict[str, bytes], kind: Kind) -> None:
    """The vendor serves sound files again, and offers its next release."""
    files = case.repository.files
    files |= {name: data for name, data in sound.items() if name != "metadata/timestamp.json"}
    case.sign("2.0.0")
    kind.after(case)
    case.end()
    case.offer()


# --- what metadata names


def _target(case: Case, role: str, path: str, change: dict[str, Any]) -> None:
    repository = case.repository
    digest = repository.roles[role].targets[path].hashes["sha256"]
    folder, _, file = path.rpartition("/")
    document = json.loads(repository.files[f"targets/{folder}/{digest}.{file}"])
    repository.add_target(role, path, json.dumps(document | change).encode())
    repository.plan = None
    repository.publish()


def _plan(**change: Any) -> Deed:
    return lambda case: _target(case, ROLLOUT, plan_path(MODEL), change)


def _manifest(**change: Any) -> Deed:
    return lambda case: sign_raw(case, "1.2.0", **change)


def _support(**change: Any) -> Deed:
    return lambda case: _target(case, RELEASES, support_path(MODEL), change)


def _with_support(case: Case) -> None:
    offered(case)
    case.repository.state_support(case.repository.now)


def _gated(case: Case) -> None:
    """A device that asks for the gate's word, and a release that has it."""
    case.bench.gate_keys = (_GATE.public_key(),)
    case.sign()
    _attested(case)
    case.offer()


def _attested(case: Case) -> None:
    assert case.release is not None
    case.repository.attest(case.release, _GATE)


def _word(change: dict[str, Any]) -> Deed:
    """The gate itself signs an odd word, and the release keys name it."""

    def deed(case: Case) -> None:
        assert case.release is not None
        data = case.repository.attest(case.release, _GATE)
        odd = json.dumps(json.loads(data) | change).encode()
        digest = hashlib.sha256(odd).hexdigest()
        case.repository.files[attestation_path(digest)] = odd
        listed = case.repository.roles[RELEASES].targets
        listed[f"firmware/{MODEL}/1.1.0.json"].unrecognized_fields["custom"] = {"gate": digest}
        case.offer()

    return deed


# --- deltas and images


def _other_magic(streams: Streams) -> tuple[bytes, int]:
    return delta((2, segment(op(LITERAL, 1))), magic=MAGIC.replace(b"1", b"2"))


def _delta_version(case: Case) -> None:
    offer_by_delta(case, _other_magic, "1.2.0")


def _delta_typed(case: Case) -> None:
    entry = case.kept["delta"]
    fields = {name: getattr(entry, name) for name in entry.__struct_fields__}
    sign_raw(case, deltas=[fields | {"size": "12"}])


def _image_typed(case: Case) -> None:
    image = json.loads(encode_json(make_manifest(case.repository, case.work, "1.2.0").image))
    image["groups"][0]["packed"] = "12"
    sign_raw(case, "1.2.0", image=image)


def _image_version(case: Case) -> None:
    """An archive of a version that does not exist, packed and signed as any other."""
    manifest = make_manifest(case.repository, case.work, "1.2.0")
    image, data = manifest.image, case.repository.files[manifest.image.path]
    old = image.groups[0]
    stream = bytearray(_unpacked(data[: old.packed]))
    assert stream.startswith(archive.MAGIC)
    stream[len(archive.MAGIC) - 2] = ord("2")
    packed = pack_group(bytes(stream))
    new = packed + data[old.packed :]
    first = Group(packed=len(packed), size=len(stream), sha256=hashlib.sha256(stream).hexdigest())
    path = f"images/{hashlib.sha256(new).hexdigest()}.img"
    case.repository.files[path] = new
    described = json.loads(encode_json(image)) | {"path": path, "size": len(new)}
    described["groups"][0] = json.loads(encode_json(first))
    sign_raw(case, "1.2.0", image=described)


def _unpacked(packed: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdDecompressor().decompress(packed)


SIGNED, LARGE, ODD = "bad-signature", "too-large", "malformed"
FIRMWARE = f"targets/firmware/{MODEL}/"
_TOP = (SIGNED, ODD, LARGE, ODD, ODD)
_BELOW = (SIGNED, SIGNED, LARGE, ODD, ODD)
KINDS = (
    _metadata("root", (("roles",), []), _TOP),
    _metadata("timestamp", (("meta",), 7), _TOP),
    _metadata("snapshot", (("meta",), [1]), _BELOW),
    _metadata("targets", (("delegations",), "all"), _BELOW),
    _metadata(RELEASES, (("targets",), []), _BELOW),
    _metadata(ROLLOUT, (("version",), "two"), _BELOW),
    Kind(
        name="plan",
        prefix=f"targets/rollout/{MODEL}/",
        typed=_plan(admitted_ppm="all"),
        version=_plan(spec="limpet-plan-2"),
        answers=_BELOW,
    ),
    Kind(
        name="manifest",
        prefix=FIRMWARE,
        suffix="1.1.0.json",
        typed=_manifest(image=7),
        version=_manifest(spec="limpet-release-2"),
        answers=_BELOW,
    ),
    Kind(
        name="support statement",
        prefix=FIRMWARE,
        suffix="support.json",
        typed=_support(until=1),
        version=_support(spec="limpet-support-2"),
        answers=_BELOW,
        before=_with_support,
        after=lambda case: case.repository.state_support(case.repository.now),
    ),
    Kind(
        name="gate's word",
        prefix="attestations/",
        typed=_word({"payload": 7}),
        version=_word({"payloadType": "other/2"}),
        answers=("bad-attestation", "bad-attestation", LARGE, ODD, "bad-attestation"),
        before=_gated,
        after=_attested,
    ),
    Kind(
        name="delta",
        prefix="deltas/",
        typed=_delta_typed,
        version=_delta_version,
        answers=("", "unreachable", "", ODD, ""),
        before=offer_by_delta,
    ),
    Kind(
        name="image",
        prefix="images/",
        typed=_image_typed,
        version=_image_version,
        answers=("tampered-image", "unreachable", "", ODD, ODD),
    ),
)
CELLS = tuple(
    Cell(kind, way, deed, reason)
    for kind in KINDS
    for way, deed, reason in zip(WAYS, kind.deeds(), kind.answers, strict=True)
)
