"""Attacks with deltas: by whoever serves them, and by whoever signs them wrongly.

A delta can save bytes and never change one. So nearly every attack ends in the same way: the rest
of the image comes whole, and what is installed is what was signed.
"""

from collections.abc import Callable
from typing import Any

from tests.device.updater.attacks import Attack, Case
from tests.device.updater.signed_delta import Made, Streams, offer_by_delta, sign_raw
from tests.device.updater.simulator import make_manifest
from tests.firmware.deltas.make import COPY, LITERAL, MAGIC, ZERO, delta, op, pack, segment, varint

from limpet.device.updater.check import Outcome
from limpet.device.updater.source import FileRefused

NETWORK = "the network, or the server's files"
SERVER = "the server with all online keys"
SIGNER = "a mistake of the release keys' holders"

_NONE = "-"
_BYTES = "the bytes that the delta would have saved"


def delta_offered(case: Case) -> None:
    """A release is offered that the device can reach by a delta."""
    offer_by_delta(case)


# --- by whoever serves


def _change(how: Callable[[bytes], bytes]) -> Callable[[Case], None]:
    def deed(case: Case) -> None:
        path = case.kept["delta"].path
        case.repository.files[path] = how(case.repository.files[path])

    return deed


def _flip(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def _other_release(case: Case) -> None:
    """A delta that is well made, between other images."""
    case.thief()
    wanted = case.kept["delta"].path
    elsewhere = delta((2, segment(op(COPY, 1 << 20, 0) + op(ZERO, 64))))[0]
    case.repository.files[wanted] = elsewhere.ljust(case.kept["delta"].size, b"\0")


def _image_for_delta(case: Case) -> None:
    case.thief()
    image = case.repository.files[case.kept["image"].path]
    case.repository.files[case.kept["delta"].path] = image


def _gone(case: Case) -> None:
    def refuse(path: str) -> None:
        if path.startswith("deltas/"):
            raise FileRefused(path, 404)

    case.repository.hooks.append(refuse)


def _truncated(case: Case) -> None:
    _change(lambda data: data[:-1])(case)


def _huge_window(case: Case) -> None:
    """A group of the image as a Zstandard frame whose window is 2 GiB (RFC 8878, 3.1.1.1.2)."""
    image = make_manifest(case.repository, case.work, "1.1.0").image
    data, size = case.repository.files[image.path], image.groups[0].size
    frame = b"\x28\xb5\x2f\xfd" + b"\xc0" + bytes([21 << 3]) + size.to_bytes(8, "little")
    case.repository.files[image.path] = frame + data[len(frame) :]


# --- by whoever signs


def _signed(make: Callable[[Streams], Made], **entry: Any) -> Callable[[Case], None]:
    def deed(case: Case) -> None:
        offer_by_delta(case, make, "1.2.0", **entry)

    return deed


def _whole(code: bytes, literals: bytes = b"") -> Callable[[Streams], Made]:
    return lambda streams: delta((len(streams.groups), segment(code, literals)))


def _other_magic(streams: Streams) -> Made:
    return delta((2, segment(op(LITERAL, 1))), magic=MAGIC.replace(b"1", b"2"))


def _bomb(streams: Streams) -> Made:
    """Literals that say 18 bytes and unpack to 64 MiB."""
    code, bomb = pack(op(LITERAL, 18)), pack(bytes(64 << 20))
    head = varint(len(code)) + varint(len(op(LITERAL, 18))) + varint(len(bomb)) + varint(18)
    return delta((len(streams.groups), head + varint(0) + varint(0) + code + bomb))


def _huge_stream(streams: Streams) -> Made:
    """A stream that announces 2^62 bytes."""
    head = varint(1) + varint(1) + varint(4) + varint(1 << 62) + varint(0) + varint(0)
    return delta((len(streams.groups), head + bytes(5)))


def _overflow(streams: Streams) -> Made:
    """Shifts of 2^62 each, until every machine's integers would have turned over."""
    code = op(COPY, 1, (1 << 61)) * 64
    return _whole(code)(streams)


def _leaves_its_group(streams: Streams) -> Made:
    return _whole(op(COPY, streams.groups[0] + 1, 0))(streams)


def _endless_copies(streams: Streams) -> Made:
    """As many instructions as a segment can hold, each a byte of another file than the last."""
    far = len(streams.old) - 10
    there, back = op(COPY, 1, far), op(COPY, 1, -far)
    pairs = (streams.groups[0] // 2, (1 << 20) // (len(there) + len(back)))
    return _whole((there + back) * min(pairs))(streams)


def _seventeen(case: Case) -> None:
    entry = _entry(case)
    sign_raw(case, deltas=[entry] * 17)


def _odd_entry(**fields: Any) -> Callable[[Case], None]:
    def deed(case: Case) -> None:
        sign_raw(case, deltas=[_entry(case) | fields])

    return deed


def _entry(case: Case) -> dict[str, Any]:
    described = case.kept["delta"]
    return {name: getattr(described, name) for name in described.__struct_fields__}


def _row(name: str, title: str, has: str, deed: Callable[[Case], None], left: str, **more: Any):  # type: ignore[no-untyped-def]
    """The delta is given up with `left` in the log, and the image installs the release."""
    more = {"outcome": Outcome.READY, "after": None, "residual": _BYTES} | more
    return Attack(
        name=name, title=title, has=has, before=delta_offered, deed=deed, left=left, **more
    )


def _refused(name: str, title: str, deed: Callable[[Case], None]) -> Attack:
    return Attack(
        name=name, title=title, has=SIGNER, before=delta_offered, deed=deed, reason="malformed"
    )


DELTAS: dict[str, tuple[Attack, ...]] = {
    "Deltas, as they are served": (
        _row("delta-index", "a bit of the delta's index is changed", NETWORK,
             _change(lambda data: _flip(data, 20)), "its index is not the signed one"),
        _row("delta-segment", "a bit of what the delta packs is changed", NETWORK,
             _change(lambda data: _flip(data, -3)), "a segment is not the one of its index"),
        _row("delta-zeros", "zeros in place of the delta", NETWORK,
             _change(lambda data: bytes(len(data))), "its index is not the signed one"),
        _row("delta-version", "a delta of another version of the format", NETWORK,
             _change(lambda data: data.replace(b"delta-1", b"delta-2")),
             "its index is not the signed one"),
        _row("delta-of-another", "another delta in its place", SERVER, _other_release,
             "its index is not the signed one"),
        _row("delta-is-image", "the image in the place of the delta", SERVER, _image_for_delta,
             "its index is not the signed one"),
        _row("delta-longer", "the delta with a MiB behind it", NETWORK,
             _change(lambda data: data + bytes(1 << 20)), "",
             does="reads to the signed size", residual=_NONE),
        _row("delta-gone", "no delta where the manifest names one", NETWORK, _gone, "404"),
        Attack(name="delta-truncated", title="the delta without its last byte", has=NETWORK,
               before=delta_offered, deed=_truncated, outcome=Outcome.UNAVAILABLE,
               reason="unreachable", residual="a delay, as for an image"),
    ),
    "Deltas, signed": (
        _row("delta-wrong-base", "a delta from another tree that says it is from this one", SIGNER,
             _signed(_whole(op(COPY, 1 << 20, 64))), "other bytes than those that were signed"),
        _row("delta-wrong-size", "a base of another size than what runs", SIGNER,
             _signed(_whole(op(COPY, 1 << 20, 0)), base_size=12), "from 12 bytes"),
        _row("delta-magic", "a version of the format that does not exist", SIGNER,
             _signed(_other_magic), "not a delta of this version"),
        _row("delta-bomb", "18 bytes that unpack to 64 MiB", SIGNER, _signed(_bomb),
             "a stream has another size than it says"),
        _row("delta-huge", "a stream of 2^62 bytes", SIGNER, _signed(_huge_stream),
             "a stream is longer than allowed"),
        _row("delta-overflow", "shifts that add up to more than 64 bits", SIGNER,
             _signed(_overflow), "it reads outside of the old image"),
        _row("delta-before-the-image", "a copy from before the old image", SIGNER,
             _signed(_whole(op(COPY, 4, -1))), "it reads outside of the old image"),
        _row("delta-behind-its-group", "a copy that is longer than its group", SIGNER,
             _signed(_leaves_its_group), "an instruction leaves its group"),
        _row("delta-of-nothing", "a million instructions that make nothing", SIGNER,
             _signed(_whole(op(COPY, 0, 0) * (1 << 19))), "an instruction leaves its group"),
        _row("delta-endless-copies", "half a million copies of a byte, each from another file",
             SIGNER, _signed(_endless_copies), "the delta cannot be used",
             does="at most 1 MiB of instructions for a segment: seconds of work, once more, and"
                  " then never again"),
        _refused("delta-seventeen", "a manifest with seventeen deltas", _seventeen),
        _refused("delta-path", "a delta that is named `deltas/../../x`",
                 _odd_entry(path="deltas/../../x")),
        _refused("delta-typed", "a delta whose size is a word", _odd_entry(size="12")),
        _refused("delta-negative", "a delta of -1 bytes", _odd_entry(size=-1)),
        _refused("delta-index-huge", "an index of a GiB", _odd_entry(index_bytes=1 << 30)),
        _refused("delta-field", "a delta with one field more", _odd_entry(run="this")),
    ),
    "Windows": (
        Attack(name="zstd-window", title="a group of the image whose window is 2 GiB", has=NETWORK,
               deed=_huge_window, reason="tampered-image",
               does="compares size and window with what was signed before it makes room"),
    ),
}  # fmt: skip
