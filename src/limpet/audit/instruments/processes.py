"""The device's processes as the kernel describes them in /proc (proc(5)).

Owns finding the processes of one device directory and reading, for each, what it
may and holds: ids, capabilities, no_new_privs, seccomp, memory mappings, sockets.
Reads only; must never stop or change a process. Needs the device's own host.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from limpet.audit.instruments.sockets import Socket, read_sockets
from limpet.audit.target import Target
from limpet.errors import Unavailable

__all__ = ["Mapped", "Process", "parse_maps", "parse_status", "read_processes",
           "read_resting"]  # fmt: skip

PROC = Path("/proc")
MAX_PROCESSES = 50_000
MAX_FILE = 4 << 20
_MODULE = re.compile(r"\Alimpet\.device\.([a-z]+)\Z")
_SOCKET = re.compile(r"\Asocket:\[([0-9]+)\]\Z")


@dataclass(frozen=True, slots=True)
class Mapped:
    """What stands out among a process's memory mappings."""

    writable_and_executable: int
    first_address: int  # of the lowest mapping: differs between processes under ASLR


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of the device."""

    role: str
    pid: int
    uid: int
    effective_capabilities: int
    no_new_privileges: bool
    seccomp_mode: int  # 2: a filter is in force
    core_limit: int  # bytes of a core dump, soft limit; -1 is unlimited
    mapped: Mapped
    sockets: tuple[Socket, ...]


def read_processes(target: Target) -> tuple[Process, ...]:
    """The processes that run from the device's directory; `Unavailable` if there are none."""
    root = target.need(target.device_dir, "--device").resolve()
    sockets = read_sockets(PROC)
    found = []
    for entry in list(PROC.iterdir())[:MAX_PROCESSES]:
        if not entry.name.isdigit():
            continue
        try:
            role = _role(entry, root)
            if role:
                found.append(_describe(entry, role, sockets))
        except FileNotFoundError:
            continue  # it ended meanwhile
        except PermissionError as error:
            raise Unavailable(
                "the device's processes may not be read",
                hint="run the audit as root: a confined process is closed to its own user too",
            ) from error
        except (ProcessLookupError, OSError):
            continue
    if not found:
        raise Unavailable(f"no process of a device runs from {root} on this host")
    return tuple(sorted(found, key=lambda process: process.role))


def read_resting(target: Target) -> frozenset[str]:
    """The roles that the device calls resting: they have no process until they are asked.

    Taken for what it is, the device's word: what does run is judged all the same.
    """
    path = target.need(target.device_dir, "--device") / "run" / "status.json"
    try:
        roles = json.loads(_read(path))["roles"]
        return frozenset(str(one["role"]) for one in roles if one["state"] == "resting")
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()


def _role(entry: Path, root: Path) -> str:
    """Which role this process plays for the device at `root`; empty: none."""
    words = _read(entry / "cmdline").split("\0")
    roles = [match[1] for word in words if (match := _MODULE.match(word))]
    if not roles:
        return ""
    for word in words:
        if word.startswith("/") or word.startswith("."):
            path = Path(word) if word.startswith("/") else (entry / "cwd").readlink() / word
            resolved = path.resolve()
            if resolved == root or root in resolved.parents:
                return roles[0]
    return ""


def _describe(entry: Path, role: str, sockets: dict[int, Socket]) -> Process:
    status = parse_status(_read(entry / "status"))
    core = re.search(r"^Max core file size +(\S+)", _read(entry / "limits"), re.M)
    limit = core[1] if core else "unlimited"
    held = []
    for link in (entry / "fd").iterdir():
        try:
            match = _SOCKET.match(str(link.readlink()))
        except FileNotFoundError:
            continue
        if match and int(match[1]) in sockets:
            held.append(sockets[int(match[1])])
    return Process(
        role=role,
        pid=int(entry.name),
        uid=int(status["Uid"].split()[1]),
        effective_capabilities=int(status["CapEff"], 16),
        no_new_privileges=status.get("NoNewPrivs") == "1",
        seccomp_mode=int(status.get("Seccomp", "0")),
        core_limit=-1 if limit == "unlimited" else int(limit),
        mapped=parse_maps(_read(entry / "maps")),
        sockets=tuple(held),
    )


def parse_status(text: str) -> dict[str, str]:
    """The fields of /proc/PID/status."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in pairs}


def parse_maps(text: str) -> Mapped:
    """What stands out in /proc/PID/maps."""
    lines = [line.split() for line in text.splitlines() if line]
    both = sum(1 for words in lines if "w" in words[1] and "x" in words[1])
    first = int(lines[0][0].partition("-")[0], 16) if lines else 0
    return Mapped(both, first)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MAX_FILE).decode("utf-8", "replace")
