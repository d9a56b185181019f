"""The key stores outside this process: PKCS#11 tokens, and a TPM 2.0 through its PKCS#11 module.

Owns the token's PIN (a file beside the certificate, for the keeper alone) and where a
module that works on files keeps them: in the keeper's directory, the only one that
this process may write. The key is made in the token and never asked for.
"""

import contextlib
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from limpet.crypto.held import HeldKey, prepare_held_keys
from limpet.crypto.randomness import new_token
from limpet.crypto.requests import Purpose, make_request
from limpet.device.keeper._store import Chain, FileKeyStore, KeyStore
from limpet.device.keeper._token import Token, load_library
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.storage import make_directory, read_bounded, write_atomic
from limpet.wire.keystore import (
    KEYSTORE_BYTES,
    KEYSTORE_FILE,
    SOFTWARE,
    KeyStoreSettings,
    decode_key_store,
)

__all__ = ["TokenKeyStore", "load_settings", "open_key_store"]

_PIN_BYTES = 128


def load_settings(root: Path) -> KeyStoreSettings:
    """What the factory chose for the device at `root`; no file means the software store."""
    file = root / KEYSTORE_FILE
    if not file.exists():
        return SOFTWARE
    return decode_key_store(read_bounded(file, max_bytes=KEYSTORE_BYTES))


def open_key_store(settings: KeyStoreSettings, directory: Path) -> KeyStore:
    """The store that the settings name; there is no silent way back to software."""
    if settings.backend == "software":
        return FileKeyStore(directory)
    return TokenKeyStore(settings, directory)


class TokenKeyStore(Chain):
    """A PKCS#11 token. The module is loaded before the process is confined, and used after."""

    def __init__(self, settings: KeyStoreSettings, directory: Path) -> None:
        super().__init__(directory)
        self._settings = settings
        self._directory = directory
        self._pin = directory / "token.pin"
        self._open: Token | None = None

    def prepare(self) -> None:
        """See `KeyStore`. What does not load here is told by the first use."""
        load_library(self._settings.module)
        if self._settings.backend == "tpm":  # tpm2-tss loads the way to the TPM by its name
            load_library(f"libtss2-tcti-{self._settings.tcti.partition(':')[0]}.so.0")
        with contextlib.suppress(Unavailable):
            prepare_held_keys()

    def generate(self, *, model: str, serial: str) -> str:
        """See `KeyStore`. A key whose certificate never came is destroyed in the token."""
        self.verify_unmade()
        self.close()
        token = self._load()
        if not self._pin.exists():
            write_atomic(self._pin, new_token().encode("ascii"), mode=0o600)
        pin = self._read_pin()
        if not token.exists():
            # Nobody keeps the officer's PIN: the token is never initialized a second time.
            token.initialize(officer_pin=new_token().encode("ascii"), pin=pin)
        token.open(pin)
        self._open = token
        token.generate()
        request = make_request(self._held(), model=model, serial=serial, purpose=Purpose.CLIENT)
        return request.decode("ascii")

    def public_key(self) -> PublicKeyTypes:
        """See `KeyStore`."""
        return self._token().public_key()

    def tls_key(self) -> HeldKey:
        """See `KeyStore`."""
        return self._held()

    def close(self) -> None:
        """See `KeyStore`."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _held(self) -> HeldKey:
        token = self._token()
        return HeldKey(token.public_key(), token.sign)

    def _token(self) -> Token:
        if self._open is None:
            token = self._load()
            try:
                token.open(self._read_pin())
            except LimpetError:
                token.close()  # so that the next try starts anew
                raise
            self._open = token
        return self._open

    def _load(self) -> Token:
        for name, value in self._surroundings().items():
            os.environ[name] = value  # what a module reads of its settings, and nothing else
        return Token(self._settings.module, self._settings.token)

    def _surroundings(self) -> dict[str, str]:
        """Where the two modules that keep files keep them."""
        module = Path(self._settings.module).name
        if module.startswith("libsofthsm2"):
            tokens = make_directory(self._directory / "tokens")
            file = self._directory / "softhsm2.conf"
            text = (
                f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
            )
            write_atomic(file, text.encode())
            return {"SOFTHSM2_CONF": str(file)}
        if self._settings.backend == "tpm":
            store = make_directory(self._directory / "tpm")
            tcti = {"TPM2_PKCS11_TCTI": self._settings.tcti} if self._settings.tcti else {}
            return {"TPM2_PKCS11_STORE": str(store), "TPM2_PKCS11_LOG_LEVEL": "0", **tcti}
        return {}

    def _read_pin(self) -> bytes:
        try:
            return read_bounded(self._pin, max_bytes=_PIN_BYTES)
        except Unavailable as error:
            raise Rejected("no-pin", "this device has no PIN for its token") from error
