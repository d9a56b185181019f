"""OpenPGP signatures of advisories, by GnuPG (CSAF 2.0, 7.1.19 and 20).

Owns which key signs, its public part, and that each signature that is published verifies with
what is published of the key, and with nothing else that the signer's gpg happens to know.
"""

import itertools
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from limpet.errors import Rejected
from limpet.vendor.gnupg import run_gpg

__all__ = ["KEY_BYTES", "Signer", "load_signer", "verify_signature"]

KEY_BYTES = 1 << 20
_FINGERPRINT = re.compile(r"^(?:[0-9A-F]{40}|[0-9A-F]{64})$")
_GOOD = frozenset({"GOODSIG", "EXPKEYSIG"})  # a key may have expired since it signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A key that gpg has, in its directory `home` (None: gpg's own)."""

    fingerprint: str  # of the primary key, upper case
    public: bytes = field(repr=False)  # armoured
    home: Path | None = None

    def sign(self, data: bytes) -> bytes:
        """A detached signature, armoured; verified. Raises `Rejected("not-signed")`."""
        words = ["--armor", "--detach-sign", "--local-user", self.fingerprint, "--output", "-"]
        signature = run_gpg([*words, "-"], data, home=self.home)
        verify_signature(data, signature, [self.public])
        return signature


def load_signer(key: str, home: Path | None) -> Signer:
    """The one secret key that gpg knows as `key`. Raises `Rejected`, `Unavailable`."""
    words = ["--with-colons", "--list-secret-keys", "--", key]
    lines = run_gpg(words, home=home).decode(errors="replace").splitlines()
    rows = [line.split(":") for line in lines]
    found = [
        after[9]
        for before, after in itertools.pairwise(rows)
        if (before[0], after[0]) == ("sec", "fpr")
    ]
    if len(found) != 1 or not _FINGERPRINT.fullmatch(found[0]):
        message = f"gpg has {len(found)} secret keys that {key[:80]!a} may mean"
        raise Rejected("which-key", message, hint="name one by its fingerprint")
    minimal = ["--armor", "--export-options", "export-minimal", "--export", found[0]]
    return Signer(fingerprint=found[0], public=run_gpg(minimal, home=home), home=home)


def verify_signature(data: bytes, signature: bytes, keys: Sequence[bytes]) -> str:
    """The fingerprint of that of `keys` (armoured) which signed `data`; nothing else counts.

    Raises `Rejected("not-signed")`: another text, another key, one that was revoked.
    """
    with tempfile.TemporaryDirectory(prefix="limpet-gpg-") as name:
        home = Path(name)
        (home / "signature").write_bytes(signature)
        alone = ["--no-autostart", "--no-auto-key-locate", "--status-fd", "1"]
        hint = "sign it again: limpet advisory sign"
        for key in keys:
            run_gpg(["--no-autostart", "--import"], key, home=home, hint=hint)
        words = [*alone, "--verify", str(home / "signature"), "-"]
        told = run_gpg(words, data, home=home, hint=hint).decode(errors="replace")
    status = [line.split()[1:] for line in told.splitlines() if line.startswith("[GNUPG:] ")]
    signers = [one[-1] for one in status if one[0] == "VALIDSIG"]
    if len(signers) != 1 or not _GOOD & {one[0] for one in status}:
        raise Rejected("not-signed", "it has not one good signature", hint=hint)
    return signers[0]
