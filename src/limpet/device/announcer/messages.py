"""DNS messages (RFC 1035, 4.1): questions and what is known read, answers written. Pure.

Owns the parsing of what anybody sends. Every loop has a bound, a compressed name only points
backwards, and whatever is not a whole query is `Rejected`: it is answered by silence.
"""

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from limpet.errors import Rejected

__all__ = [
    "MESSAGE_BYTES",
    "Kind",
    "Name",
    "Query",
    "Question",
    "Record",
    "encode_name",
    "encode_response",
    "name_of",
    "parse_query",
]

MESSAGE_BYTES = 1500
"""Longest datagram that is read; an honest query fills one frame (RFC 6762, 17)."""

MAX_QUESTIONS, MAX_KNOWN = 16, 64
MAX_LABELS = 32  # of one name; ours have five at most
MAX_NAME = 255  # RFC 1035, 2.3.4
LEGACY_SECONDS = 10  # RFC 6762, 6.7
_HEADER = struct.Struct(">6H")
_CLASS_IN, _CLASS_ANY, _TOP_BIT = 1, 255, 0x8000
_RESPONSE, _OPCODE, _AUTHORITATIVE = 0x8000, 0x7800, 0x0400

Name = tuple[bytes, ...]
"""Labels without the root; what we compare is in lower case (RFC 6762, 16)."""


class Kind(enum.IntEnum):
    """Types of records."""

    A = 1
    PTR = 12
    TXT = 16
    AAAA = 28
    SRV = 33
    NSEC = 47
    ANY = 255


@dataclass(frozen=True, slots=True)
class Question:
    """`kind` is any number; `unicast`: the asker would rather have the answer alone (QU)."""

    name: Name
    kind: int
    unicast: bool


@dataclass(frozen=True, slots=True)
class Record:
    """One resource record; a `unique` one replaces what others remember (RFC 6762, 10.2)."""

    name: Name
    kind: Kind
    ttl: int  # seconds
    data: bytes
    unique: bool


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked, and which pointers the asker knows, with the seconds they have left."""

    number: int
    questions: tuple[Question, ...]
    known: tuple[tuple[Name, bytes, int], ...]  # name, the pointer's target, seconds


def name_of(*labels: str) -> Name:
    """A name of labels as UTF-8."""
    return tuple(label.encode() for label in labels)


def parse_query(data: bytes) -> Query:
    """The query in `data`. Raises `Rejected("malformed")`: for a response too."""
    if not _HEADER.size <= len(data) <= MESSAGE_BYTES:
        raise Rejected("malformed", "no DNS message")
    number, flags, questions, answers, _, _ = _HEADER.unpack_from(data)
    if flags & (_RESPONSE | _OPCODE) or not 0 < questions <= MAX_QUESTIONS or answers > MAX_KNOWN:
        raise Rejected("malformed", "no query")
    offset, asked, known = _HEADER.size, [], []
    try:
        for _ in range(questions):
            name, offset = _read_name(data, offset)
            kind, of_class = struct.unpack_from(">2H", data, offset)
            offset += 4
            if of_class & ~_TOP_BIT in (_CLASS_IN, _CLASS_ANY):
                asked.append(Question(_lower(name), kind, bool(of_class & _TOP_BIT)))
        for _ in range(answers):
            name, offset = _read_name(data, offset)
            kind, _, ttl, length = struct.unpack_from(">2HIH", data, offset)
            offset += 10
            if offset + length > len(data):
                raise Rejected("malformed", "a record is cut off")
            if kind == Kind.PTR:
                target, _ = _read_name(data, offset)
                known.append((_lower(name), encode_name(_lower(target)), ttl))
            offset += length
    except (struct.error, IndexError) as error:
        raise Rejected("malformed", "the message is cut off") from error
    return Query(number, tuple(asked), tuple(known))


def encode_response(
    answers: Sequence[Record], more: Sequence[Record] = (), *, echo: Query | None = None
) -> bytes:
    """A response. `echo`: to one who knows unicast DNS only, who wants his number and question
    back, short times, and no bit that he does not know (RFC 6762, 6.7)."""
    number = echo.number if echo else 0
    asked = echo.questions if echo else ()
    flags = _RESPONSE | _AUTHORITATIVE
    parts = [_HEADER.pack(number, flags, len(asked), len(answers), 0, len(more))]
    for question in asked:
        parts.append(encode_name(question.name) + struct.pack(">2H", question.kind, _CLASS_IN))
    for record in (*answers, *more):
        top = _TOP_BIT if record.unique and echo is None else 0
        ttl = record.ttl if echo is None else min(record.ttl, LEGACY_SECONDS)
        fixed = struct.pack(">2HIH", record.kind, _CLASS_IN | top, ttl, len(record.data))
        parts.append(encode_name(record.name) + fixed + record.data)
    return b"".join(parts)


def encode_name(name: Name) -> bytes:
    """Without compression: our names are short, and fewer clients err."""
    return b"".join(bytes([len(label)]) + label for label in name) + b"\0"


def _read_name(data: bytes, offset: int) -> tuple[Name, int]:
    """The name at `offset`, and where the message goes on."""
    labels: list[bytes] = []
    total, end, limit = 0, -1, offset
    while True:
        length = data[offset]
        if length >= 0xC0:  # RFC 1035, 4.1.4
            target = (length & 0x3F) << 8 | data[offset + 1]
            if target >= limit:
                raise Rejected("malformed", "a name points forwards")
            end = offset + 2 if end < 0 else end
            offset = limit = target
            continue
        if length > 63:
            raise Rejected("malformed", "a label of an unknown kind")
        offset += 1
        if length == 0:
            return tuple(labels), offset if end < 0 else end
        label = data[offset : offset + length]
        total += length + 1
        if len(label) < length or total > MAX_NAME or len(labels) >= MAX_LABELS:
            raise Rejected("malformed", "a name is too long or cut off")
        labels.append(label)
        offset += length


def _lower(name: Name) -> Name:
    return tuple(label.lower() for label in name)
