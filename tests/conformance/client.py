"""The device's updater behind the command line that tuf-conformance drives.

Owns the translation of that protocol (`init`, `refresh`, `download`) into calls of
`MetadataClient`, and the floor around them, as `Repository.look` has it. Everything that
judges metadata is the device's own code. What stands in for a device's surroundings: a root
file for the firmware's, plain HTTP for TLS, and a suite of one family for the product's.

Plain HTTP, and keys of every scheme that the TUF specification names: never for a device.
"""

import argparse
import os
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from limpet.crypto.suites import CURRENT, FirmwareRules, Suite
from limpet.device.updater.floor import load_floor, raise_floor, save_floor
from limpet.device.updater.metadata import MetadataClient, View
from limpet.device.updater.source import NotFound
from limpet.errors import LimpetError, Rejected, Unavailable

SCHEMES = (
    "ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "rsassa-pss-sha256",
)
"""Of the TUF specification, 4.2, and of the repositories that the suite brings along."""

ROOT_FILE, FLOOR_FILE = "firmware-root", "floor"
"""Beside python-tuf's cache, under names that the suite does not take for metadata."""

ONLINE = ("root", "timestamp", "snapshot")

ARTIFACT_BYTES = 1 << 22
TIMEOUT = 20.0  # seconds
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def one_family(suite: Suite) -> Suite:
    """`suite`, but any of `SCHEMES` may sign for any role: what a plain TUF client believes."""
    rules = FirmwareRules(offline=(SCHEMES,), online=(SCHEMES,), besides=())
    return msgspec.structs.replace(suite, firmware=rules)


@dataclass(frozen=True, slots=True)
class PlainSource:
    """The suite's server, as the updater's `Source`."""

    bases: dict[str, str]  # "metadata" and "targets", to their addresses

    def get(self, path: str, *, max_bytes: int) -> bytes:
        """As `Source.get`."""
        kind, _, rest = path.partition("/")
        url = f"{self.bases[kind].rstrip('/')}/{rest}"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:  # noqa: S310
                data: bytes = answer.read(max_bytes + 1)
        except urllib.error.HTTPError as error:
            raise NotFound(f"there is no {path}", error.code) from error
        except OSError as error:
            raise Unavailable(f"no answer for {path}: {error}") from error
        if len(data) > max_bytes:
            raise Rejected("too-large", f"{path} is larger than {max_bytes} bytes")
        return data

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """The suite knows no images."""
        raise Unavailable(f"no ranges of {path} here")


def init(arguments: argparse.Namespace) -> None:
    """Put the root where the firmware would have it; show it to the suite as what is trusted."""
    root = Path(arguments.trusted_root).read_bytes()
    (arguments.metadata_dir / ROOT_FILE).write_bytes(root)
    (arguments.metadata_dir / "root.json").write_bytes(root)


def refresh(arguments: argparse.Namespace) -> View:
    """One refresh at this process's clock, against the floor and above it from now on."""
    home: Path = arguments.metadata_dir
    floor, warning = load_floor(home / FLOOR_FILE, built_at=BEGINNING, security_counter=0)
    if warning:
        print(warning, file=sys.stderr)
    bases = {"metadata": arguments.metadata_url, "targets": arguments.target_base_url or ""}
    client = MetadataClient(
        PlainSource(bases),
        cache=home,
        targets=arguments.target_dir or home / "targets",
        trusted_root=(home / ROOT_FILE).read_bytes(),
        suite=one_family(CURRENT),
    )
    view = client.refresh(datetime.now(UTC))
    # Of targets a device's floor holds more than TUF asks: docs/adr/0104.
    roles = {name: seen for name, seen in view.seen().items() if name in ONLINE}
    save_floor(home / FLOOR_FILE, raise_floor(floor, roles=roles))
    return view


def download(arguments: argparse.Namespace) -> None:
    """Each target in turn, with the client of one refresh."""
    view = refresh(arguments)
    for name in arguments.target_name:
        if view.read(name, max_bytes=ARTIFACT_BYTES) is None:
            raise Rejected("unsigned-release", f"nobody signed {name}")


COMMANDS = {"init": init, "refresh": refresh, "download": download}


def main() -> int:
    """Exit status 0, or 1 with the device's own reason on standard error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metadata-dir", required=True, type=Path)
    parser.add_argument("--metadata-url")
    parser.add_argument("--target-name", action="append", default=[])
    parser.add_argument("--target-dir", type=Path)
    parser.add_argument("--target-base-url")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("trusted_root")
    commands.add_parser("refresh")
    commands.add_parser("download")
    arguments = parser.parse_args()
    try:
        COMMANDS[arguments.command](arguments)
    except LimpetError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return os.EX_OK + 1
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
