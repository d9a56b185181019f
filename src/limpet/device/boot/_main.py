"""The process of boot until it waits: arguments, the lock, what it gives up of root's rights.

Owns the order. Exit status 0: stopped as asked; 1 or 3: one clear line on stderr says why it
could not run.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import limpet
from limpet.device.boot._arguments import parse_arguments
from limpet.device.boot._lock import hold_device
from limpet.device.boot._privileges import separated
from limpet.device.boot._waiting import WAITED
from limpet.device.boot._waiting import __file__ as waiting_file
from limpet.device.enclosure.ownership import verify_owner
from limpet.device.link.identity import has_identity, load_identity
from limpet.device.link.journal import Journal
from limpet.device.link.launch import child_environment, program_command, tie_to_parent
from limpet.errors import LimpetError, Rejected, Unavailable

__all__ = ["main"]

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


def main() -> NoReturn:
    """Run a device until it is told to stop; never returns."""
    try:
        _run(sys.argv[1:])
    except LimpetError as error:
        print(f"limpet: error: {error}", file=sys.stderr, flush=True)
        status = error.exit_code
    os._exit(status)


def _run(argv: Sequence[str]) -> NoReturn:
    given = parse_arguments(argv)
    root = given.root
    _verify_device(root, factory=given.factory)
    if given.end_with_parent:
        tie_to_parent()
    with hold_device(root) as device:
        journal = Journal(root, clock=lambda: datetime.now(UTC), monotonic=time.monotonic)
        with separated(root, journal, first=given.first_user_id, attach=given.attach) as users:
            (root / "run" / "listening.json").unlink(missing_ok=True)
            _wait(root, argv, held=[device, *users], factory=given.factory)


def _wait(root: Path, argv: Sequence[str], *, held: Sequence[int], factory: bool) -> NoReturn:
    """Become the small program that waits: the same process, with its locks, its tie to its parent
    and what is left of its rights, but without all that was loaded to get here."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans come to us
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITED)  # from here on they are waited for
    for descriptor in held:
        os.set_inheritable(descriptor, True)
    arguments = (str(os.getpid()), str(len(argv)), *argv)
    installed = Path(limpet.__file__).parents[1]
    command = [
        *(sys.executable, "-I", "-S", waiting_file),
        *(str(root), ",".join(map(str, held)), str(int(factory))),
        *program_command(installed, "limpet.device.boot.choosing", arguments),
    ]
    os.execve(sys.executable, command, child_environment())  # noqa: S606 - no shell is wanted


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
