"""Where programs of this machine look for the authorities that they trust.

Owns three kinds of place: the certificate databases of Chromium and Firefox (NSS), the store of
a Debian system, and a file for another machine. Puts nothing there but an authority that is
held to a home's names, and takes out only what it put there.
"""

import plistlib
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from limpet.crypto.household import verify_constrained
from limpet.crypto.keys import spki_sha256
from limpet.errors import Unavailable
from limpet.storage import make_directory, write_atomic

__all__ = [
    "SYSTEM_DIRECTORY",
    "Placed",
    "browser_databases",
    "export_authority",
    "forget_in_browsers",
    "forget_in_system",
    "trust_in_browsers",
    "trust_in_system",
]

COMMAND_SECONDS = 60.0
SYSTEM_DIRECTORY = Path("/usr/local/share/ca-certificates")
UPDATE_SYSTEM = ("update-ca-certificates",)
_SERVER_ONLY = "C,,"  # trusted to issue certificates of servers, and nothing else
_DATABASES = (
    ".mozilla/firefox/*/cert9.db",
    "snap/firefox/common/.mozilla/firefox/*/cert9.db",
    "snap/chromium/current/.pki/nssdb/cert9.db",
)
_CHROMIUM = ".pki/nssdb"


@dataclass(frozen=True, slots=True)
class Placed:
    """One place, and whether the authority is trusted there now; why not, in `detail`."""

    place: str
    trusted: bool
    detail: str = ""


def browser_databases(home: Path) -> tuple[Path, ...]:
    """The directories of Chromium's and Firefox's databases below `home`; Chromium's always."""
    found = [path.parent for pattern in _DATABASES for path in sorted(home.glob(pattern))]
    return (home / _CHROMIUM, *found)


def trust_in_browsers(authority: x509.Certificate, home: Path) -> tuple[Placed, ...]:
    """Trust it in each browser's database. Raises `Rejected("unconstrained")`."""
    verify_constrained(authority)
    return tuple(_trust_in(authority, place) for place in browser_databases(home))


def forget_in_browsers(authority: x509.Certificate, home: Path) -> tuple[Placed, ...]:
    """Take it out again, where it is."""
    found = []
    for place in browser_databases(home):
        if (place / "cert9.db").exists() and shutil.which("certutil"):
            done = _run("certutil", "-d", f"sql:{place}", "-D", "-n", _name_of(authority))
            if not done:
                found.append(Placed(str(place), False))
    return tuple(found)


def trust_in_system(
    authority: x509.Certificate,
    *,
    directory: Path = SYSTEM_DIRECTORY,
    update: Sequence[str] = UPDATE_SYSTEM,
) -> Placed:
    """Trust it in the system's store (Debian's ca-certificates), as root.

    Raises `Rejected("unconstrained")`; `Unavailable` where there is no such store or no right.
    """
    verify_constrained(authority)
    path = directory / _file_of(authority)
    if shutil.which(update[0]) is None or not directory.is_dir():
        raise Unavailable(
            "this system's store of trusted certificates is not Debian's",
            hint="limpet owner trust export FILE, and import that as your system wants it",
        )
    write_atomic(path, authority.public_bytes(serialization.Encoding.PEM), mode=0o644)
    if problem := _run(*update):
        raise Unavailable(f"{update[0]} failed: {problem}")
    return Placed(str(path), True)


def forget_in_system(
    authority: x509.Certificate,
    *,
    directory: Path = SYSTEM_DIRECTORY,
    update: Sequence[str] = UPDATE_SYSTEM,
) -> Placed | None:
    """Take it out again; None if it was not there. Raises `Unavailable`."""
    path = directory / _file_of(authority)
    if not path.exists():
        return None
    try:
        path.unlink()
    except OSError as error:
        reason = (error.strerror or "failed").lower()
        raise Unavailable(f"cannot remove {path}: {reason}", hint="run it as root") from error
    if problem := _run(*update):
        raise Unavailable(f"{update[0]} failed: {problem}")
    return Placed(str(path), False)


def export_authority(authority: x509.Certificate, path: Path) -> str:
    """Write it for another machine; what to do with the file there.

    The form follows the name: `.mobileconfig` for iPhone, iPad and Mac, `.der` or `.cer` for
    Windows, else PEM. Raises `Rejected("unconstrained")`, `Unavailable`.
    """
    verify_constrained(authority)
    pem = authority.public_bytes(serialization.Encoding.PEM)
    der = authority.public_bytes(serialization.Encoding.DER)
    match path.suffix.lower():
        case ".mobileconfig":
            write_atomic(path, _profile(authority, der), mode=0o644)
            return (
                "open it on the iPhone, iPad or Mac, install the profile in Settings, then switch"
                " it on in Settings > General > About > Certificate Trust Settings"
            )
        case ".der" | ".cer":
            write_atomic(path, der, mode=0o644)
            return 'Windows: certutil -user -addstore Root FILE (or open it: "Trusted Root")'
    write_atomic(path, pem, mode=0o644)
    return (
        "Android: Settings > Security > Encryption & credentials > Install a certificate > CA"
        " certificate; macOS: security add-trusted-cert -r trustRoot -p ssl FILE; Windows:"
        " certutil -user -addstore Root FILE; Firefox: Settings > Certificates > Authorities"
    )


def _trust_in(authority: x509.Certificate, place: Path) -> Placed:
    if shutil.which("certutil") is None:
        return Placed(str(place), False, "certutil is missing (Debian: libnss3-tools)")
    if not (place / "cert9.db").exists():
        make_directory(place, mode=0o700)
        if problem := _run("certutil", "-d", f"sql:{place}", "-N", "--empty-password"):
            return Placed(str(place), False, problem)
    pem = authority.public_bytes(serialization.Encoding.PEM)
    added = ("-A", "-a", "-t", _SERVER_ONLY, "-n", _name_of(authority))
    problem = _run("certutil", "-d", f"sql:{place}", *added, given=pem)
    return Placed(str(place), not problem, problem)


def _run(*command: str, given: bytes = b"") -> str:
    """Run it; empty if it succeeded, else what it said last."""
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, timeout=COMMAND_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    said = done.stderr.decode("utf-8", "replace").strip() or f"exit status {done.returncode}"
    return said.splitlines()[-1]


def _profile(authority: x509.Certificate, der: bytes) -> bytes:
    """Apple's configuration profile with one payload, the same file for the same authority."""
    short = _short(authority)
    name = _name_of(authority)

    def payload(kind: str, content: dict[str, object]) -> dict[str, object]:
        identifier = f"limpet.household.{short}.{kind}"
        return {
            "PayloadDisplayName": name,
            "PayloadIdentifier": identifier,
            "PayloadType": kind,
            "PayloadUUID": str(uuid.uuid5(uuid.NAMESPACE_URL, identifier)),
            "PayloadVersion": 1,
            **content,
        }

    root = payload("com.apple.security.root", {"PayloadContent": der})
    return plistlib.dumps(payload("Configuration", {"PayloadContent": [root]}))


def _short(authority: x509.Certificate) -> str:
    return spki_sha256(authority).hex()[:8]


def _name_of(authority: x509.Certificate) -> str:
    return f"limpet household {_short(authority)}"


def _file_of(authority: x509.Certificate) -> str:
    return f"limpet-household-{_short(authority)}.crt"
