"""GnuPG with a directory of the test's own, and keys without a passphrase."""

import subprocess
from pathlib import Path

from tests.needs import need

__all__ = ["gpg", "make_keyring"]

SECONDS = 60


def make_keyring(directory: Path, *addresses: str) -> Path:
    """`directory` as GnuPG's, with a key that signs for each address."""
    need("gpg", "gpg-agent", package="gpg gpg-agent", untried="nothing was signed by OpenPGP")
    directory.chmod(0o700)
    for address in addresses:
        gpg(directory, "--passphrase", "", "--quick-generate-key", address, "ed25519", "sign", "1d")
    return directory


def gpg(ring: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    """What gpg answered; it has to end well."""
    command = ["gpg", "--homedir", str(ring), "--batch", "--quiet", *words]
    return subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)
