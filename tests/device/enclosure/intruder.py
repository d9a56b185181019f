"""Code in a role's process that has its enclosure and nothing else: no Landlock, no seccomp.

Run as a program: `intruder.py ENCLOSURE ROOT VICTIM PORT`, with the enclosure as JSON (or
"none", the control), a device's directory, the id of a process of another role, and a port on
127.0.0.1 where something listens. Prints {attempt: "done" | name of the error}.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from limpet.device.enclosure import SERVING, Enclosure, enter

LIBC = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    given, root, victim, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    entered = {}
    if given == "none":  # what it mounts by right goes with it
        check(LIBC.unshare(0x20000))  # CLONE_NEWNS
        check(LIBC.mount(None, b"/", None, ctypes.c_ulong(0x44000), None))  # private, all of it
    else:
        found = enter(msgspec.json.decode(given, type=Enclosure))
        entered = {one.mechanism: one.in_force for one in found}
    report: dict[str, object] = {"entered": entered, "root": sorted(os.listdir("/"))}
    for attempt, work in attempts(root, victim, port).items():
        report[attempt] = outcome(work)
    print(json.dumps(report))


def attempts(root: Path, victim: int, port: int) -> dict[str, Callable[[], object]]:
    slot = root / "slots" / "a"
    found: dict[str, Callable[[], object]] = {
        "read keystore.toml": lambda: (root / "keystore.toml").read_bytes(),
        "read identity.json": lambda: (root / "identity.json").read_bytes(),
        "read the slot": lambda: (slot / "product.toml").read_bytes(),
        "change the slot": lambda: touch(slot / "product.toml"),
        "add to the slot": lambda: make(slot / "added"),
        "make the other slot": lambda: make(root / "slots" / "b"),
        "change boot's record": lambda: touch(root / "slots" / "boot.json"),
        "replace boot's record": lambda: make(root / "slots" / "boot.json.new"),
        "change the identity": lambda: touch(root / "identity.json"),
        "read the log": lambda: list((root / "log").iterdir()),
        "change the status": lambda: touch(root / "run" / "status.json"),
        "ask for an erasure": lambda: make(root / "erase.pending"),
        "signal": lambda: os.kill(victim, signal.SIGCONT),
        "look at memory": lambda: Path(f"/proc/{victim}/mem").open("rb").close(),
        "look at the environment": lambda: Path(f"/proc/{victim}/environ").read_bytes(),
        "trace": lambda: check(LIBC.ptrace(16, victim, 0, 0)),  # PTRACE_ATTACH
        "see processes": lambda: Path(f"/proc/{victim}").stat(),
        "become root": lambda: os.setuid(0),
        "give files away": lambda: os.chown(root / "identity.json", os.getuid(), -1),
        "mount": lambda: check(LIBC.mount(b"none", b"/", b"tmpfs", 0, None)),
        "connect": lambda: connect(port),
        "start a program": lambda: subprocess.run(["/bin/true"], check=True),
    }
    for role in SERVING:
        own = root / role / "secret"
        found[f"read {role}"] = own.read_bytes
        found[f"change {role}"] = lambda own=own: touch(own)
        found[f"add to {role}"] = lambda own=own: make(own.with_name("added"))
    return found


def touch(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY))


def make(path: Path) -> None:
    path.mkdir()
    path.rmdir()


def connect(port: int) -> None:
    with socket.socket() as one:
        one.settimeout(2)
        one.connect(("127.0.0.1", port))


def check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def outcome(work: Callable[[], object]) -> str:
    try:
        work()
    except (OSError, subprocess.SubprocessError) as error:
        return type(error).__name__
    return "done"


main()
