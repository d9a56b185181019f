"""JSON and MessagePack at the boundary: bytes in, frozen types out, or `Rejected`.

Owns decoding of everything that another party wrote. Never returns an untyped
value, and never looks at more bytes than the message's bound.
"""

from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec

from limpet.errors import Rejected

__all__ = ["Message", "Moment", "decode_json", "decode_packed", "encode_json", "encode_packed"]

T = TypeVar("T")

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with its zone: one without cannot be compared with the clock, so it is refused."""


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every document on the wire: immutable, and an unknown field is an error."""


def encode_json(value: Any) -> bytes:
    """`value` as readable JSON with sorted keys and a final newline: the same bytes every time."""
    packed = msgspec.json.encode(value, order="sorted")
    return msgspec.json.format(packed, indent=1) + b"\n"


def decode_json(data: bytes, kind: type[T], *, max_bytes: int) -> T:
    """The `kind` that `data` holds. Raises `Rejected("malformed" | "too-large")`."""
    _bound(data, kind, max_bytes)
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("malformed", f"not a valid {_name(kind)}: {error}") from error


def encode_packed(value: Any) -> bytes:
    """`value` as MessagePack: the form used between processes of one device."""
    return msgspec.msgpack.encode(value)


def decode_packed(data: bytes, kind: Any, *, max_bytes: int) -> Any:
    """The `kind` (a type or union of tagged types) that `data` holds, or `Rejected`."""
    _bound(data, kind, max_bytes)
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("malformed", f"not a valid {_name(kind)}: {error}") from error


def _bound(data: bytes, kind: Any, max_bytes: int) -> None:
    if len(data) > max_bytes:
        raise Rejected(
            "too-large", f"{_name(kind)} of {len(data)} bytes, at most {max_bytes} are allowed"
        )


def _name(kind: Any) -> str:
    return str(getattr(kind, "__name__", "message"))
