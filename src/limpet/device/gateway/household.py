"""The owner's certificate for browsers: a key of its own, and the chain that the owner brought.

Owns `household-key.pem` and `household.pem` in the gateway's directory; a factory reset erases
them with it. The key is made here at the first request, never leaves, and stays from one
certificate to the next, so that it may be pinned. Decides nothing about a chain:
`limpet.crypto.household` does.
"""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from limpet.crypto.household import VerifiedHousehold, verify_household
from limpet.crypto.keys import TlsKey, generate_key, key_to_pem, tls_key_from_pem
from limpet.crypto.requests import Purpose, make_request
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.storage import read_bounded, remove_durably, write_atomic

__all__ = ["Household"]

KEY_FILE, CHAIN_FILE = "household-key.pem", "household.pem"
MAX_PEM = 32 << 10


class Household:
    """What an owner gave the device; `changed` is called after every change."""

    def __init__(
        self,
        directory: Path,
        *,
        model: str,
        serial: str,
        addresses: Sequence[str],
        log: Callable[[str, str], None],
    ) -> None:
        """Load it. What is damaged counts as none, with a line in the log.

        `addresses` are what the request asks for besides the names that the owner chooses.
        """
        self.serial = serial
        self._directory, self._model = directory, model
        self._addresses, self._log = addresses, log
        self.changed: Callable[[], None] = lambda: None
        self.key: TlsKey | None = self._load_key()
        self.shown: VerifiedHousehold | None = self._load_chain()

    def request(self) -> bytes:
        """A certificate request, PEM. Raises `Unavailable` if a new key cannot be kept."""
        if self.key is None:
            key = generate_key()
            write_atomic(self._directory / KEY_FILE, key_to_pem(key))
            self.key = key
        return make_request(
            self.key,
            model=self._model,
            serial=self.serial,
            purpose=Purpose.SERVER,
            addresses=self._addresses,
        )

    def install(self, chain_pem: bytes) -> VerifiedHousehold:
        """Serve `chain_pem` from now on; durable on return. Raises `Rejected`, `Unavailable`."""
        if self.key is None:
            raise Rejected("wrong-certificate", "ask for a certificate request first")
        found = verify_household(chain_pem, key=self.key.public_key(), serial=self.serial)
        write_atomic(self._directory / CHAIN_FILE, chain_pem)
        self.shown = found
        self._log("household-installed", f"until {found.not_after:%Y-%m-%d}")
        self.changed()
        return found

    def remove(self) -> None:
        """Forget chain and key; the next request makes a new one. Durable on return."""
        if self.key is None and self.shown is None:
            return
        for name in (CHAIN_FILE, KEY_FILE):  # a key without a chain is served to nobody
            remove_durably(self._directory / name)
        self.key = self.shown = None
        self._log("household-removed", "")
        self.changed()

    def _load_key(self) -> TlsKey | None:
        try:
            return tls_key_from_pem(read_bounded(self._directory / KEY_FILE, max_bytes=MAX_PEM))
        except Unavailable:
            return None
        except Rejected as error:
            self._log("household-key-damaged", error.message)
            return None

    def _load_chain(self) -> VerifiedHousehold | None:
        path = self._directory / CHAIN_FILE
        if self.key is None or not path.exists():
            return None
        with contextlib.suppress(LimpetError):
            stored = read_bounded(path, max_bytes=MAX_PEM)
            return verify_household(stored, key=self.key.public_key(), serial=self.serial)
        self._log("household-damaged", "the owner can install it again")
        return None
