"""The process of boot: arguments, the lock, the run; the exit status for whoever started it.

Exit status 0: stopped as asked; 1 or 3: one clear line on stderr says why it could not run.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from limpet.device.boot._lock import hold_device
from limpet.device.boot._privileges import separated
from limpet.device.boot._run import Boot
from limpet.device.enclosure.ownership import verify_owner
from limpet.device.link.identity import has_identity, load_identity
from limpet.device.link.journal import Journal
from limpet.device.link.launch import tie_to_parent
from limpet.device.link.start import parse_address, parse_resolve
from limpet.errors import LimpetError, Rejected, Unavailable

__all__ = ["main", "parse_arguments"]


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of boot. Raises `Rejected` for an address that is none."""
    parser = argparse.ArgumentParser(prog="python -m limpet.device.boot", allow_abbrev=False)
    parser.add_argument("root", type=Path, help="the device's directory")
    parser.add_argument("--listen", metavar="HOST:PORT", default="127.0.0.1:0")
    parser.add_argument("--resolve", metavar="HOST:PORT=ADDRESS:PORT", action="append", default=[])
    parser.add_argument(
        "--first-user-id", metavar="N", type=int, help="as root: the roles run as N and up"
    )
    parser.add_argument(
        "--roles",
        choices=["start", "attach"],
        default="start",
        help="attach: a service manager starts the roles",
    )
    parser.add_argument("--trial-deadline", metavar="SECONDS", type=float)
    parser.add_argument("--noise-source", metavar="PATH", type=Path, help="instead of /dev/hwrng")
    parser.add_argument("--factory", action="store_true", help="be made, over stdin and stdout")
    parser.add_argument(
        "--end-with-parent", action="store_true", help="stop when the starting process dies"
    )
    given = parser.parse_args(argv)
    parse_address(given.listen)
    parse_resolve(given.resolve)
    return given


def main() -> NoReturn:
    """Run a device until it is told to stop; never returns."""
    try:
        status = _run(sys.argv[1:])
    except LimpetError as error:
        print(f"limpet: error: {error}", file=sys.stderr, flush=True)
        status = error.exit_code
    os._exit(status)


def _run(argv: Sequence[str]) -> int:
    given = parse_arguments(argv)
    root = given.root.absolute()
    _verify_device(root, factory=given.factory)
    if given.end_with_parent:
        tie_to_parent()
    with hold_device(root):
        options = {"listen": (given.listen,), "resolve": tuple(given.resolve)}
        if given.noise_source is not None:
            options["noise-source"] = (str(given.noise_source.absolute()),)
        if given.first_user_id is not None:
            options["first-user-id"] = (str(given.first_user_id),)
        if given.roles == "attach":
            options["roles"] = (given.roles,)
        journal = Journal(root, clock=lambda: datetime.now(UTC), monotonic=time.monotonic)
        boot = Boot(
            root,
            journal,
            factory=given.factory,
            options=options,
            trial_deadline=given.trial_deadline,
        )
        with separated(root, journal, first=given.first_user_id, attach=given.roles == "attach"):
            return boot.run()


def _verify_device(root: Path, *, factory: bool) -> None:
    if not (root / "slots").is_dir():
        raise Unavailable(
            f"{root} is no device directory", hint="make one: limpet factory make --out DIR"
        )
    verify_owner(root)
    if factory:
        return
    if not has_identity(root):
        raise Rejected(
            "no-identity",
            f"the device in {root} has no identity.json: the factory did not finish it",
            hint="make it again: limpet factory make; or restore the file, if it was there",
        )
    load_identity(root)
