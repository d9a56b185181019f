"""Named, versioned sets of algorithms: which suite is in force, and what it says.

A suite is a file beside this module. The one with the highest version is in force,
so a device follows the file that its firmware carries, and raising a bound or retiring
an algorithm is a new file in an update, not a new design (algorithm agility, RFC 7696).
Knows no library of cryptography; `limpet.crypto.policy` holds keys and certificates to
a suite, `limpet.crypto.tls` holds connections to it.
"""

import functools
from pathlib import Path

from limpet.errors import Rejected, Unavailable

from ._loading import SUITE_BYTES, load_suite, parse_suite
from ._types import (
    CertificateRules,
    Families,
    FirmwareRules,
    PasswordRules,
    Suite,
    SuiteId,
    TlsRules,
    TlsUse,
)

__all__ = [
    "CURRENT",
    "SUITE_BYTES",
    "SUITE_FILE",
    "CertificateRules",
    "Families",
    "FirmwareRules",
    "PasswordRules",
    "Suite",
    "SuiteId",
    "TlsRules",
    "TlsUse",
    "bundled_suites",
    "find_suite",
    "first_suite",
    "load_suite",
    "parse_suite",
    "suite_file_in",
]

SUITE_FILE = "suite.toml"
"""A suite that was chosen, beside what else was chosen there."""


def bundled_suites() -> dict[int, Path]:
    """The files beside this module, by version. Raises `Rejected`, `Unavailable` if none is."""
    found: dict[int, Path] = {}
    for file in sorted(Path(__file__).parent.glob("*.toml")):
        version = load_suite(file).version
        if version in found:
            raise Rejected("bad-suite", f"{found[version]} and {file} have the same version")
        found[version] = file
    if not found:
        raise Unavailable("this installation of limpet has no suite of algorithms")
    return found


def first_suite() -> Path:
    """The oldest bundled file: what firmware and vendors go by that were made before others."""
    files = bundled_suites()
    return files[min(files)]


def find_suite(given: str) -> Path:
    """The file of the bundled suite named `given`, else the file `given`. Raises `Unavailable`."""
    bundled = {file.stem: file for file in bundled_suites().values()}
    file = bundled.get(given, Path(given))
    if not file.is_file():
        known = ", ".join(sorted(bundled))
        raise Unavailable(f"there is no suite {given}", hint=f"name a file, or one of {known}")
    return file


def suite_file_in(directory: Path) -> Path:
    """The suite that was chosen in `directory`: its `suite.toml`, else the first bundled one."""
    file = directory / SUITE_FILE
    return file if file.is_file() else first_suite()


CURRENT: Suite
"""The suite in force: on a device the one of its firmware, elsewhere the newest that is here."""


@functools.cache
def _newest() -> Suite:
    files = bundled_suites()
    return load_suite(files[max(files)])


def __getattr__(name: str) -> Suite:
    """`CURRENT`, read once, in the processes that ask for it."""
    if name == "CURRENT":
        return _newest()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
