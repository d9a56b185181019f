"""Private keys in the bytes of any file, in whatever form they were put there.

Owns the forms: PEM as it is, as source code and JSON write it, in UTF-16 and in Base64; DER
(PKCS #8, PKCS #1, SEC 1, PKCS #12) as it is and in Base64; JSON Web Keys, and those of other
programs. Goes by form alone, and never loads a key.
"""

import base64
import re
from collections.abc import Iterator

__all__ = ["find_pem_keys", "find_private_keys"]

_HEADER = rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
_PEM = re.compile(_HEADER + rb"\s+(?:[A-Za-z-]+: [^\n]*\n)*\s*[A-Za-z0-9+/=]{16}")
# Ends of lines, quotes and joints of texts; an identifier may follow them, so the body has to
# begin as those of DER and OpenSSH do.
_JOINTS = rb"(?:\s|\\[nrt]|\\?[\"'+,(){}\[\]]|b(?=[\"'])){1,200}"
_WRITTEN = re.compile(_HEADER + _JOINTS + rb"(?:M[A-Za-z0-9+/]{15}|b3BlbnNzaC1rZXkt)")
_WIDE = re.compile(rb"P\0R\0I\0V\0A\0T\0E\0 \0K\0E\0Y")

_OTHERS: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("a private key of age", re.compile(rb"AGE-SECRET-KEY-1[A-Z0-9]{50}")),
    ("a private key of WireGuard", re.compile(rb"\bPrivateKey\s*=\s*[A-Za-z0-9+/]{43}=")),
    (
        "a private key of PuTTY",
        re.compile(rb"PuTTY-User-Key-File-\d:[\s\S]{1,2000}?Private-Lines:"),
    ),
)
_JWK_TYPE = re.compile(rb"[\"']kty[\"']\s*:\s*[\"'](?:EC|RSA|OKP|oct|AKP)[\"']")
_JWK_SECRET = re.compile(rb"[\"'](?:d|k|priv)[\"']\s*:\s*[\"'][A-Za-z0-9_-]{20,}={0,2}[\"']")

_LENGTH = rb"(?:[\x10-\x7f]|\x81[\x80-\xff]|\x82..)"
_RSA = rb"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01[\x01\x0a]"
_CURVES = rb"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
_EDWARDS = rb"\x06\x03\x2b\x65[\x6e-\x71]"  # and Montgomery's (RFC 8410)
_LATTICES = rb"\x06\x09\x60\x86\x48\x01\x65\x03\x04[\x03\x04]."  # ML-DSA, SLH-DSA, ML-KEM
_PBES2 = rb"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d"
_DATA = rb"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
_PKCS8 = rb"\x02\x01[\x00\x01]\x30[\x05-\x7f](?:%b|%b|%b|%b)" % (_RSA, _CURVES, _EDWARDS, _LATTICES)
_PKCS8_SEALED = rb"\x30[\x30-\x7f]" + _PBES2
_PKCS12 = rb"\x02\x01\x03\x30" + _LENGTH + _DATA
_PKCS1 = rb"\x02\x01\x00\x02(?:\x81\x81|\x82[\x01-\x08].)\x00[\x80-\xff]"
_SEC1 = rb"\x02\x01\x01\x04([\x1c-\x42])"  # RFC 5915
_FORMS = b"|".join((_PKCS8, _PKCS8_SEALED, _PKCS12, _PKCS1, _SEC1))
_DER = re.compile(rb"\x30" + _LENGTH + b"(?:" + _FORMS + b")", re.DOTALL)
# SEC 1 says in front only "1, and a number": its curve or its point follows.
_AFTER_NUMBER = re.compile(rb"\xa0[\x07-\x0c]\x06|\xa1[\x40-\x81]")
_IN_BASE64 = re.compile(
    rb"(?<![A-Za-z0-9+/])(?:LS0tLS1CRUdJTi|M[A-I])(?:[A-Za-z0-9+/]|\\?[\r\n]|\\[rn]){38,160}"
)
_BREAKS = re.compile(rb"\\[rn]|[\r\n\\]")


def find_pem_keys(data: bytes) -> Iterator[int]:
    """Where in `data` a private key begins in PEM, open for everybody."""
    return (match.start() for match in _PEM.finditer(data))


def find_private_keys(data: bytes) -> Iterator[tuple[str, int]]:
    """Each private key in `data`: in which form, empty for PEM as it is, and at which byte.

    What hides a key is looked for only where none lies open.
    """
    found = [("", at) for at in find_pem_keys(data)]
    for form, pattern in _OTHERS:
        found += [(form, match.start()) for match in pattern.finditer(data)]
    if _JWK_TYPE.search(data):
        found += [("a private JSON Web Key", one.start()) for one in _JWK_SECRET.finditer(data)]
    yield from found or _hidden(data)


def _hidden(data: bytes) -> Iterator[tuple[str, int]]:
    """By the first way that finds one: keys lie in each other, and one is told once."""
    for find in (_in_code, _in_utf16, _in_der, _in_base64):
        found = list(find(data))
        if found:
            yield from found
            return


def _in_code(data: bytes) -> Iterator[tuple[str, int]]:
    for match in _WRITTEN.finditer(data):
        yield "a private key, as code writes it", match.start()


def _in_utf16(data: bytes) -> Iterator[tuple[str, int]]:
    if (wide := _WIDE.search(data)) and re.search(_HEADER, data.replace(b"\0", b"")):
        yield "a private key in UTF-16", wide.start()


def _in_der(data: bytes) -> Iterator[tuple[str, int]]:
    """The first one alone: in a PKCS #12 are PKCS #8, and in these PKCS #1 or SEC 1."""
    at = next((one.start() for one in _DER.finditer(data) if _is_key(one, data)), None)
    if at is not None:
        yield "a private key in DER", at


def _in_base64(data: bytes) -> Iterator[tuple[str, int]]:
    for match in _IN_BASE64.finditer(data):
        text = _BREAKS.sub(b"", match[0])
        inside = base64.b64decode(text[: len(text) // 4 * 4])
        der = _DER.match(inside)
        if re.match(_HEADER, inside) or (der is not None and _is_key(der, inside)):
            yield "a private key in Base64", match.start()


def _is_key(match: re.Match[bytes], data: bytes) -> bool:
    if match[1] is None:
        return True
    return _AFTER_NUMBER.match(data, match.end() + match[1][0]) is not None
