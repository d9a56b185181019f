"""TLS handshakes by hand: offers exactly one thing, and reads what the server makes of it.

Owns the bytes of ClientHello and ServerHello (RFC 8446, 4.1; RFC 5246, 7.4.1), so
that what a server accepts is measured independently of what the local OpenSSL can
or will offer. An offer without a key share makes a server answer with
HelloRetryRequest or an alert, which costs neither side any cryptography. Must
never be used to protect anything.
"""

import enum
import secrets
import socket
import struct
from dataclasses import dataclass

from limpet.audit.target import Endpoint

__all__ = [
    "GROUPS",
    "LEGACY_SUITES",
    "SUITES",
    "WEAK_GROUPS",
    "WEAK_SIGNATURES",
    "Offer",
    "Outcome",
    "Reply",
    "Version",
    "build_hello",
    "offer",
    "parse_reply",
]

SECONDS = 3.0
MAX_REPLY = 1 << 16


class Version(enum.IntEnum):
    """Protocol versions as on the wire."""

    SSL_3_0 = 0x0300
    TLS_1_0 = 0x0301
    TLS_1_1 = 0x0302
    TLS_1_2 = 0x0303
    TLS_1_3 = 0x0304

    @property
    def label(self) -> str:
        """As people write it."""
        return self.name.replace("_", " ", 1).replace("_", ".")


# RFC 8446, B.4
SUITES = {
    0x1301: "TLS_AES_128_GCM_SHA256",
    0x1302: "TLS_AES_256_GCM_SHA384",
    0x1303: "TLS_CHACHA20_POLY1305_SHA256",
    0x1304: "TLS_AES_128_CCM_SHA256",
    0x1305: "TLS_AES_128_CCM_8_SHA256",
}
# What TLS 1.2 and older may still accept: forward secret ones, then what nobody may accept.
LEGACY_SUITES = {
    0xC02B: "ECDHE_ECDSA_AES_128_GCM",
    0xC02F: "ECDHE_RSA_AES_128_GCM",
    0xC023: "ECDHE_ECDSA_AES_128_CBC",
    0xC009: "ECDHE_ECDSA_AES_128_CBC_SHA",
    0xC013: "ECDHE_RSA_AES_128_CBC_SHA",
    0x002F: "RSA_AES_128_CBC_SHA",
    0x000A: "RSA_3DES",
    0x0005: "RSA_RC4_128",
    0x0003: "RSA_EXPORT_RC4_40",
    0x0001: "RSA_NULL_MD5",
    0x0034: "DH_ANON_AES_128_CBC",
}
# RFC 8446, 4.2.7, and the hybrid of draft-ietf-tls-ecdhe-mlkem
GROUPS = {
    0x001D: "x25519",
    0x0017: "secp256r1",
    0x0018: "secp384r1",
    0x0019: "secp521r1",
    0x001E: "x448",
    0x0100: "ffdhe2048",
    0x11EC: "X25519MLKEM768",
}
WEAK_GROUPS = (0x0001, 0x0003, 0x0010, 0x0013, 0x0015)  # sect163k1 ... secp160r1, secp192r1, 224r1
SIGNATURES = (0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501)
WEAK_SIGNATURES = (0x0203, 0x0201, 0x0101)  # ecdsa_sha1, rsa_pkcs1_sha1, rsa_pkcs1_md5

# RFC 8446, 4.1.3: this random marks a ServerHello as HelloRetryRequest.
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


class Reply(enum.Enum):
    """What came back."""

    ACCEPTED = "accepted"  # ServerHello or HelloRetryRequest
    REFUSED = "refused"  # an alert
    CLOSED = "closed"  # the connection ended without a word
    SILENT = "silent"  # nothing in time
    OTHER = "other"  # bytes that are not TLS


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one ClientHello offers, and nothing else."""

    version: Version
    suites: tuple[int, ...] = tuple(SUITES)
    groups: tuple[int, ...] = tuple(GROUPS)
    signatures: tuple[int, ...] = SIGNATURES
    key_share: bytes = b""  # of groups[0]; empty asks for a HelloRetryRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The server's answer to one offer."""

    reply: Reply
    version: int = 0
    suite: int = 0
    group: int = 0
    random: bytes = b""  # the server's; empty for a HelloRetryRequest
    alert: int = -1


def offer(endpoint: Endpoint, what: Offer) -> Outcome:
    """Send one offer over a connection of its own. Raises `OSError` if nothing listens."""
    hello = build_hello(what, server_name=endpoint.host, random=secrets.token_bytes(32))
    with socket.create_connection(endpoint.peer, timeout=SECONDS) as connection:
        connection.sendall(hello)
        received = b""
        try:
            while len(received) < MAX_REPLY:
                chunk = connection.recv(4096)
                received += chunk
                if not chunk or _is_complete(received):
                    break
        except TimeoutError:
            return Outcome(reply=Reply.SILENT)
        except OSError:
            return Outcome(reply=Reply.CLOSED)
    return parse_reply(received)


def build_hello(what: Offer, *, server_name: str, random: bytes) -> bytes:
    """The record that holds the ClientHello of `what`."""
    modern = what.version >= Version.TLS_1_3
    legacy_version = Version.TLS_1_2 if modern else what.version
    extensions = _extension(10, _vector(2, _numbers(what.groups)))
    if what.version >= Version.TLS_1_2:
        extensions += _extension(13, _vector(2, _numbers(what.signatures)))
    if server_name and not server_name.replace(".", "").isdigit() and ":" not in server_name:
        name = b"\0" + _vector(2, server_name.encode("ascii", "replace"))
        extensions += _extension(0, _vector(2, name))
    extensions += _extension(16, _vector(2, _vector(1, b"http/1.1")))
    if modern:
        share = b""
        if what.key_share:
            share = struct.pack("!H", what.groups[0]) + _vector(2, what.key_share)
        extensions += _extension(43, _vector(1, struct.pack("!H", what.version)))
        extensions += _extension(45, b"\x01\x01")
        extensions += _extension(51, _vector(2, share))
    else:
        extensions += _extension(11, b"\x01\x00")
    body = struct.pack("!H", legacy_version) + random + _vector(1, b"")
    body += _vector(2, _numbers(what.suites)) + b"\x01\x00" + _vector(2, extensions)
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    record_version = min(legacy_version, Version.TLS_1_0)
    return b"\x16" + struct.pack("!H", record_version) + _vector(2, handshake)


def parse_reply(received: bytes) -> Outcome:
    """What the first record says. Never raises: nonsense is `Reply.OTHER`."""
    if not received:
        return Outcome(reply=Reply.CLOSED)
    if received[0] == 0x15 and len(received) >= 7:
        return Outcome(reply=Reply.REFUSED, alert=received[6])
    if received[0] != 0x16 or len(received) < 9 or received[5] != 2:
        return Outcome(reply=Reply.OTHER)
    try:
        return _parse_server_hello(received[9:])
    except (struct.error, IndexError):
        return Outcome(reply=Reply.OTHER)


def _parse_server_hello(body: bytes) -> Outcome:
    (version,) = struct.unpack_from("!H", body)
    random = body[2:34]
    at = 35 + body[34]
    (suite,) = struct.unpack_from("!H", body, at)
    at += 3
    group = 0
    if at + 2 <= len(body):
        at += 2
        while at + 4 <= len(body):
            kind, length = struct.unpack_from("!HH", body, at)
            if kind == 43:
                (version,) = struct.unpack_from("!H", body, at + 4)
            elif kind == 51:
                (group,) = struct.unpack_from("!H", body, at + 4)
            at += 4 + length
    retry = random == _RETRY
    return Outcome(
        reply=Reply.ACCEPTED,
        version=version,
        suite=suite,
        group=group,
        random=b"" if retry else random,
    )


def _is_complete(received: bytes) -> bool:
    if len(received) < 5:
        return False
    return received[0] not in (0x15, 0x16) or len(received) >= 5 + int.from_bytes(received[3:5])


def _numbers(values: tuple[int, ...]) -> bytes:
    return b"".join(struct.pack("!H", value) for value in values)


def _vector(width: int, data: bytes) -> bytes:
    return len(data).to_bytes(width, "big") + data


def _extension(kind: int, data: bytes) -> bytes:
    return struct.pack("!H", kind) + _vector(2, data)
