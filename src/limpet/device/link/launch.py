"""How a process of a device is started: from a slot's code, tied to its parent's life.

Owns the command line of a role and the first steps inside the new process. Runs
nothing that a role brings before the process is tied to its parent.

`python -I` ignores the environment, the user's site and the current directory;
the slot's `runtime` precedes everything installed. A slot that has `packages` gets those of
others from there, after the standard library, and nothing installed at all (`-S`). Nothing is
ever written into a slot (no byte code), because the slot's tree is verified by digest.
"""

import ctypes
import os
import runpy
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import msgspec

from limpet.device.enclosure import Enclosure
from limpet.device.enclosure import enter as enter_enclosure
from limpet.errors import LimpetError, Rejected

__all__ = [
    "CANNOT_RUN",
    "ENTERED",
    "LAUNCHER",
    "PACKAGES",
    "child_environment",
    "crash_line",
    "enter",
    "program_command",
    "role_command",
    "tie_to_parent",
]

LAUNCHER = """\
import gc, sys
gc.disable()
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
if sys.flags.no_site:
    sys.path.append(sys.argv[1].removesuffix("runtime") + "packages")
from limpet.device.link import spare
spare.leave_out(sys.argv[2])
from limpet.device.link import launch
launch.enter(sys.argv[2], sys.argv[3:])
"""
"""The program that `python -I -c` runs: arguments are the runtime, a module and its arguments.
With `-S` the packages beside the runtime are all that there is besides Python's own. What is
loaded for good is no garbage: none is looked for before `confine.return_memory`."""

PACKAGES = "packages"
"""The directory of a slot that holds the packages of others, if it has any."""

ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "SOURCE_DATE_EPOCH")
"""What a process of a device may see of its parent's environment."""

LINE_CHARACTERS = 4000
"""Longest crash report; the end of a traceback is what matters, so the start is cut."""

CANNOT_RUN = 78
"""EX_CONFIG of sysexits.h: this system cannot run the role as it must, and another try is vain."""

ENTERED = "--entered"
"""The argument that carries what of the enclosure is in force."""

_INTO = "--into"
_PR_SET_PDEATHSIG = 1  # prctl(2)


def role_command(
    slot_path: Path, role: str, arguments: Sequence[str], *, into: Enclosure | None = None
) -> list[str]:
    """The command that starts `limpet.device.<role>` from the slot at `slot_path`.

    The new process enters the enclosure `into` before it loads anything of the role.
    """
    if into is not None:
        arguments = (_INTO, msgspec.json.encode(into).decode(), *arguments)
    command = program_command(slot_path / "runtime", f"limpet.device.{role}", arguments)
    if (slot_path / PACKAGES).is_dir():
        command.insert(2, "-S")
    return command


def program_command(runtime: Path, module: str, arguments: Sequence[str]) -> list[str]:
    """The command that runs `module` with the code below `runtime` first."""
    return [sys.executable, "-I", "-c", LAUNCHER, str(runtime), module, *arguments]


def child_environment() -> dict[str, str]:
    """The environment of a device's process: the few names of `ENVIRONMENT`, nothing else."""
    return {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}


def enter(module: str, arguments: Sequence[str]) -> None:
    """Become `module`: tied to the parent, every crash one JSON line on stderr."""
    tie_to_parent()
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # boot waits for signals with them blocked
    sys.excepthook = _report_crash
    if arguments[:1] == [_INTO]:
        arguments = [*_be_put_into(arguments[1]), *arguments[2:]]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _be_put_into(description: str) -> list[str]:
    """Enter the enclosure; the arguments that tell the role's program what is in force."""
    wanted = msgspec.json.decode(description, type=Enclosure)
    found = enter_enclosure(wanted)
    tie_to_parent()  # the kernel forgets it when the user id changes (prctl(2))
    if not os.access(sys.path[0], os.R_OK | os.X_OK):
        error = Rejected(
            "not-confined",
            f"user {os.geteuid()} cannot reach {sys.path[0]}",
            hint="let others pass through the directories above it (chmod o+x), or move it",
        )
        print(crash_line(error), file=sys.stderr, flush=True)
        os._exit(CANNOT_RUN)
    return [ENTERED, msgspec.json.encode(found).decode()]


def tie_to_parent() -> None:
    """Ask the kernel to kill this process when its parent dies (prctl(2), PR_SET_PDEATHSIG).

    SIGKILL, because nothing else ends a process that hangs. An app's outputs are made
    safe by its guard process (docs/adr/0047).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")


def crash_line(error: BaseException) -> str:
    """One line of JSON for the log: what failed and where."""
    if isinstance(error, LimpetError):
        text = str(error)
    else:
        text = "".join(traceback.format_exception(error))[-LINE_CHARACTERS:]
    line = {"event": "crash", "error": type(error).__name__, "detail": text}
    return msgspec.json.encode(line).decode()


def readable(line: str) -> str:
    """What a role said on stderr, for a person: of a crash report, its last line."""
    try:
        report = msgspec.json.decode(line, type=dict[str, str])
    except msgspec.DecodeError:
        return line
    last = (report.get("detail", "").strip().splitlines() or [""])[-1]
    return f"stopped: {last}" if report.get("event") == "crash" else line


def _report_crash(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    del kind, trace
    print(crash_line(error), file=sys.stderr, flush=True)
