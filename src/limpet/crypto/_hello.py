"""What a ClientHello offers (RFC 8446, 4.1.2), read from the bytes of one that was made.

Pure. For probing our own contexts: what OpenSSL was told is not yet what it says.
"""

import struct
from dataclasses import dataclass

from limpet.errors import Misuse

__all__ = ["Offered", "parse_hello"]

_SUPPORTED_GROUPS, _SIGNATURE_ALGORITHMS, _SUPPORTED_VERSIONS = 10, 13, 43
_HEADERS = 5 + 4  # of the record and of the handshake message
_RANDOM = 32
_NOT_A_CIPHER = 0x00FF  # TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746, 3.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """Code points in the order of the hello."""

    versions: tuple[int, ...]
    ciphers: tuple[int, ...]
    groups: tuple[int, ...]
    signatures: tuple[int, ...]


def parse_hello(record: bytes) -> Offered:
    """What the first record offers. Raises `Misuse` if it is no ClientHello."""
    try:
        if record[0] != 0x16 or record[5] != 1:
            raise Misuse("not a ClientHello")
        at = _HEADERS + 2 + _RANDOM
        at += 1 + record[at]  # session id
        ciphers = _numbers(record, at, width=2)
        at += 2 + 2 * len(ciphers)
        at += 1 + record[at]  # compression methods
        found = _extensions(record, at)
    except (IndexError, struct.error) as error:
        raise Misuse("not a whole ClientHello") from error
    return Offered(
        versions=_numbers(found.get(_SUPPORTED_VERSIONS, b"\0"), 0, width=1),
        ciphers=tuple(cipher for cipher in ciphers if cipher != _NOT_A_CIPHER),
        groups=_numbers(found.get(_SUPPORTED_GROUPS, b"\0\0"), 0, width=2),
        signatures=_numbers(found.get(_SIGNATURE_ALGORITHMS, b"\0\0"), 0, width=2),
    )


def _extensions(record: bytes, at: int) -> dict[int, bytes]:
    (length,) = struct.unpack_from("!H", record, at)
    at, end = at + 2, at + 2 + length
    found = {}
    while at < end:
        kind, size = struct.unpack_from("!HH", record, at)
        found[kind] = record[at + 4 : at + 4 + size]
        at += 4 + size
    return found


def _numbers(data: bytes, at: int, *, width: int) -> tuple[int, ...]:
    """A vector of 16-bit numbers whose length takes `width` bytes."""
    length = int.from_bytes(data[at : at + width], "big")
    return struct.unpack_from(f"!{length // 2}H", data, at + width)
