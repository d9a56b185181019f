"""GnuPG, as a program: what signs for people outside of limpet has its key there.

Owns calling it. Holds no key, asks for no passphrase (its agent does), and believes no word of
it but its status.
"""

import subprocess
from pathlib import Path

from limpet.errors import Rejected, Unavailable

__all__ = ["run_gpg"]

GPG_SECONDS = 120.0  # a person may be typing a passphrase
_KEYS = "give a key that gpg has: gpg --list-secret-keys"


def run_gpg(
    arguments: list[str], given: bytes = b"", *, home: Path | None, hint: str = _KEYS
) -> bytes:
    """What gpg printed, with `given` as its input and its directory `home` (None: its own).

    Raises `Rejected("not-signed")` with its last word where it failed, `Unavailable` where it
    is not there or does not answer.
    """
    place = [] if home is None else ["--homedir", str(home)]
    command = ["gpg", "--batch", "--no-tty", "--quiet", *place, *arguments]
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, timeout=GPG_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise Unavailable("there is no gpg", hint="install GnuPG (Debian: gpg)") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"gpg did not answer: {error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise Rejected("not-signed", f"gpg did not sign it: {said[-1][:200]}", hint=hint)
    return done.stdout
