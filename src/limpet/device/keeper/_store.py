"""Where the IDevID key lives: the protocol of every store, and the one in software.

Owns the key's life: made once, never read out through this interface. The software
store keeps it in a file that only this process may read (0600, Landlock).
"""

from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from limpet.crypto.held import HeldKey
from limpet.crypto.keys import generate_key, key_to_pem, tls_key_from_pem
from limpet.crypto.requests import Purpose, make_request
from limpet.errors import Rejected, Unavailable
from limpet.storage import read_bounded, remove_durably, write_atomic

__all__ = ["Chain", "FileKeyStore", "KeyStore"]

_BYTES = 64 << 10


class KeyStore(Protocol):
    """Holds one key and its certificate chain."""

    def prepare(self) -> None:
        """Load what the store needs for its work; nothing can be loaded after confinement."""

    def generate(self, *, model: str, serial: str) -> str:
        """Make the key; the request for its certificate (PEM), signed with it.

        Raises `Rejected("already-made")` once a certificate is stored.
        """

    def public_key(self) -> PublicKeyTypes:
        """The public half. Raises `Unavailable` if there is no key."""

    def store_chain(self, chain_pem: bytes) -> None:
        """Keep the certificate chain, durably. The caller has verified it."""

    def chain(self) -> bytes:
        """The chain. Raises `Unavailable` if the factory has not stored one."""

    def tls_key(self) -> Path | HeldKey:
        """What TLS signs with: the file, or the way to the token that holds the key."""

    def close(self) -> None:
        """Let go of the key until the next use: a token is open only while it is needed."""


class Chain:
    """The certificate chain's file, the same for every store."""

    def __init__(self, directory: Path) -> None:
        self._chain = directory / "idevid.pem"

    def verify_unmade(self) -> None:
        """Raises `Rejected("already-made")` once a chain is stored."""
        if self._chain.exists():
            raise Rejected("already-made", "this device has its identity")

    def store_chain(self, chain_pem: bytes) -> None:
        """See `KeyStore`."""
        write_atomic(self._chain, chain_pem, mode=0o600)

    def chain(self) -> bytes:
        """See `KeyStore`."""
        try:
            return read_bounded(self._chain, max_bytes=_BYTES)
        except Unavailable as error:
            raise Unavailable("this device has no identity certificate") from error


class FileKeyStore(Chain):
    """The software store, in the keeper's own directory."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._key = directory / "idevid.key"

    def prepare(self) -> None:
        """See `KeyStore`. Nothing is needed."""

    def generate(self, *, model: str, serial: str) -> str:
        """See `KeyStore`. A key whose certificate never came is replaced."""
        self.verify_unmade()
        remove_durably(self._key)
        key = generate_key()
        write_atomic(self._key, key_to_pem(key), mode=0o600)
        request = make_request(key, model=model, serial=serial, purpose=Purpose.CLIENT)
        return request.decode("ascii")

    def public_key(self) -> PublicKeyTypes:
        """See `KeyStore`."""
        return tls_key_from_pem(read_bounded(self._key, max_bytes=_BYTES)).public_key()

    def tls_key(self) -> Path:
        """See `KeyStore`."""
        return self._key

    def close(self) -> None:
        """See `KeyStore`. The file is never kept open."""
