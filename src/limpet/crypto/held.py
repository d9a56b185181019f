"""Keys that are held elsewhere (a PKCS#11 token, a TPM): usable for signing, never readable.

Owns the way from such a key into a certificate request and into Python's `ssl`, which
itself takes a key only as a file. What is passed to OpenSSL is the public half and a
call-back for ECDSA signatures (EC_KEY_METHOD_new(3)); docs/adr/0061 says why, and what
that rests on. Holds no private number at any time. Makes one call-back in the life of a
process, because its code is memory that a confined process cannot make any more.
"""

import ctypes
import functools
import ssl
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from limpet.crypto._openssl import Calls, context_pointer, openssl
from limpet.errors import LimpetError, Misuse, Rejected, Unavailable

__all__ = ["HeldKey", "SignDigest", "attach_held_key", "prepare_held_keys"]

SignDigest = Callable[[bytes], bytes]
"""A digest to a DER signature (RFC 3279, 2.2.3). Raises `LimpetError`."""

SIGNATURE_BYTES = 72
"""Longest DER signature on P-256."""

_EVP_PKEY_EC = 408
_SIGN = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_uint),
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
)


_SIGNERS: dict[int, SignDigest] = {}
"""Who signs for a key of OpenSSL's, by its address, as long as its context lives."""


class HeldKey(ec.EllipticCurvePrivateKey):
    """An ECDSA key on P-256 whose private half `sign_digest` reaches and nobody else."""

    def __init__(self, public_key: ec.EllipticCurvePublicKey, sign_digest: SignDigest) -> None:
        self._public_key = public_key
        self.sign_digest = sign_digest

    @property
    def curve(self) -> ec.EllipticCurve:
        """The curve of the public half."""
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        """Bits of the curve."""
        return self._public_key.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self._public_key

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """An ECDSA signature (DER) over `data`. Raises `LimpetError`."""
        algorithm = signature_algorithm.algorithm
        if isinstance(algorithm, Prehashed):
            return self.sign_digest(bytes(data))
        digest = hashes.Hash(algorithm)
        digest.update(data)
        return self.sign_digest(digest.finalize())

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> NoReturn:
        """Never: the key signs."""
        raise Misuse("this key signs, and agrees on nothing")

    def private_numbers(self) -> NoReturn:
        """Never: the key is not exported."""
        raise Misuse("the private key never leaves its holder")

    def private_bytes(
        self,
        encoding: serialization.Encoding,
        format: serialization.PrivateFormat,
        encryption_algorithm: serialization.KeySerializationEncryption,
    ) -> NoReturn:
        """Never: the key is not exported."""
        raise Misuse("the private key never leaves its holder")

    def __copy__(self) -> "HeldKey":
        """The same key."""
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> "HeldKey":
        """The same key."""
        return self


def prepare_held_keys() -> None:
    """Make the call-back now, while this process may still have new executable memory.

    Raises `Unavailable` where this Python's OpenSSL cannot be reached.
    """
    _signing_method()


def attach_held_key(context: ssl.SSLContext, chain_path: Path, key: HeldKey) -> None:
    """Let `context` show the chain and sign with `key`. Raises `Rejected("bad-certificate")`,
    `Unavailable` where this Python's OpenSSL cannot be reached.

    The key is signed with as long as `context` lives.
    """
    library = _openssl()
    pointer = context_pointer(context)
    private, address = _key_with_method(library, key.public_key(), _signing_method()[0])
    try:
        if (
            library.SSL_CTX_use_certificate_chain_file(pointer, str(chain_path).encode()) != 1
            or library.SSL_CTX_use_PrivateKey(pointer, private) != 1
        ):
            library.ERR_clear_error()
            raise Rejected("bad-certificate", "certificate and key do not fit")
        _SIGNERS[address] = key.sign_digest
        weakref.finalize(context, _SIGNERS.pop, address, None)  # before the key itself goes
    finally:
        library.EVP_PKEY_free(private)  # the context holds its own reference


@functools.cache
def _signing_method() -> tuple[int, object]:
    """OpenSSL's method with our call-back, and the call-back, which must live as long."""
    library = _openssl()
    method = library.EC_KEY_METHOD_new(library.EC_KEY_OpenSSL())
    callback = _SIGN(_sign)
    library.EC_KEY_METHOD_set_sign(method, callback, None, None)
    return int(method), callback


def _sign(
    kind: int, digest: int, length: int, out: int, out_length: Any, inverse: int, r: int, key: int
) -> int:
    """The call-back: a digest in, a signature into OpenSSL's buffer; 0 fails the handshake."""
    del kind, inverse, r
    sign_digest = _SIGNERS.get(key)
    if sign_digest is None:
        return 0
    try:
        signature = sign_digest(ctypes.string_at(digest, length))
    except LimpetError:
        return 0
    if len(signature) > SIGNATURE_BYTES:
        return 0
    ctypes.memmove(out, signature, len(signature))
    out_length[0] = len(signature)
    return 1


def _key_with_method(
    library: Any, public_key: ec.EllipticCurvePublicKey, method: int
) -> tuple[int, int]:
    """OpenSSL's key with the public half and `method`, and the address that signers go by."""
    der = public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    start = ctypes.c_char_p(der)
    public = library.d2i_PUBKEY(None, ctypes.byref(start), len(der))
    curve_key = library.EVP_PKEY_get1_EC_KEY(public) if public else None
    library.EVP_PKEY_free(public)
    private = library.EVP_PKEY_new()
    if not curve_key or library.EC_KEY_set_method(curve_key, method) != 1:
        raise Unavailable("this OpenSSL takes no keys that are held elsewhere")
    if library.EVP_PKEY_assign(private, _EVP_PKEY_EC, curve_key) != 1:
        raise Unavailable("this OpenSSL takes no keys that are held elsewhere")
    return int(private), int(curve_key)


def _openssl() -> Any:
    """OpenSSL, with the types of the calls above."""
    return openssl(_CALLS)


_P, _I, _S = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
_CALLS: Calls = (
    ("EC_KEY_OpenSSL", _P, []),
    ("EC_KEY_METHOD_new", _P, [_P]),
    ("EC_KEY_METHOD_set_sign", None, [_P, _SIGN, _P, _P]),
    ("EC_KEY_set_method", _I, [_P, _P]),
    ("d2i_PUBKEY", _P, [_P, _P, ctypes.c_long]),
    ("EVP_PKEY_get1_EC_KEY", _P, [_P]),
    ("EVP_PKEY_new", _P, []),
    ("EVP_PKEY_free", None, [_P]),
    ("EVP_PKEY_assign", _I, [_P, _I, _P]),
    ("SSL_CTX_use_certificate_chain_file", _I, [_P, _S]),
    ("SSL_CTX_use_PrivateKey", _I, [_P, _P]),
    ("ERR_clear_error", None, []),
)
