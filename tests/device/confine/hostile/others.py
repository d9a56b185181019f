"""Attacks on the other processes of the device, and on what is theirs."""

import ctypes
import errno
import fcntl
import os
import resource
import signal
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .calls import LIBC, Attacks, call, check

OPEN_FILES = 64
Orders = dict[str, Any]


def attacks_on_others(orders: Orders, name: str) -> Attacks:
    """All of those that the process `name` can try, by their titles."""
    found = {**_of_processes(orders, name), **_of_files(orders, name)}
    return {title: _where_seen(work) for title, work in found.items()}


def _where_seen(work: Callable[[], object]) -> Callable[[], object]:
    """What has no name in the role's view of the files, or is read-only there, is refused to it;
    the control finds and writes all of it."""

    def attempt() -> object:
        try:
            return work()
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EROFS):
                raise PermissionError(errno.EACCES, "not in its view") from error
            raise

    return attempt


def _of_processes(orders: Orders, name: str) -> Attacks:
    """Against each other process of the device; done if any of them can be had."""
    victims = [pid for other, pid in orders["processes"].items() if other != name]

    def against_any(work: Callable[[int], object]) -> Callable[[], None]:
        def each() -> None:
            refusal = None
            for victim in victims:
                try:
                    work(victim)
                except OSError as error:
                    refusal = error
                else:
                    return
            raise refusal or OSError(errno.ESRCH, "no victim")

        return each

    return {
        "trace": against_any(lambda pid: call("ptrace", 0x4206, pid, 0, 0)),  # PTRACE_SEIZE
        "read memory": against_any(lambda pid: _vm("process_vm_readv", pid)),
        "write memory": against_any(lambda pid: _vm("process_vm_writev", pid)),
        "open memory": against_any(lambda pid: os.open(f"/proc/{pid}/mem", os.O_RDONLY)),
        "read environment": against_any(lambda pid: Path(f"/proc/{pid}/environ").read_bytes()),
        "take a descriptor": against_any(
            lambda pid: call("pidfd_getfd", call("pidfd_open", pid, 0), 0, 0)
        ),
        "take a descriptor of nobody": lambda: call("pidfd_getfd", -1, 0, 0),
        "signal": against_any(lambda pid: os.kill(pid, signal.SIGCONT)),
        "signal its thread": against_any(lambda pid: call("tgkill", pid, pid, signal.SIGCONT)),
        "signal by descriptor": against_any(
            lambda pid: call("pidfd_send_signal", call("pidfd_open", pid, 0), 18, 0, 0)
        ),
        "signal by a descriptor of nobody": lambda: call("pidfd_send_signal", -1, 18, 0, 0),
        "signal with a value": against_any(
            lambda pid: call("rt_sigqueueinfo", pid, 18, struct.pack("3i116x", 18, 0, -1))
        ),
        "signal all of the group": lambda: os.kill(0, signal.SIGCONT),
        "have it signalled": against_any(_own_pipe),
        "change its limits": against_any(
            lambda pid: check(LIBC.prlimit(pid, resource.RLIMIT_CORE, struct.pack("2Q", 0, 0), 0))
        ),
    }


def _vm(name: str, pid: int) -> None:
    buffer = ctypes.create_string_buffer(1)
    here = struct.pack("PN", ctypes.addressof(buffer), 1)
    there = struct.pack("PN", 8, 1)
    try:
        call(name, pid, here, 1, there, 1, 0)
    except OSError as error:
        if error.errno != errno.EFAULT:  # allowed; only the address is wrong
            raise


def _own_pipe(pid: int) -> None:
    for descriptor in range(OPEN_FILES):
        try:
            os.fstat(descriptor)
        except OSError:
            continue
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, pid)
        return


def _of_files(orders: Orders, name: str) -> Attacks:
    root = Path(orders["root"])
    role = name.partition("-")[0]
    other = next(root / one for one in ("accounts", "keeper") if one != role)
    own = root / role / "hostile"
    slot = root / "slots" / "a" / "product.toml"
    places = {
        "another role's directory": other / "planted",
        "the slot": slot.with_name("planted"),
        "the other slot": root / "slots" / "b" / "planted",
        "the device's directory": root / "planted",
        "/tmp": Path("/tmp") / f"limpet-hostile-{os.getpid()}",
        "/etc": Path("/etc") / f"limpet-hostile-{os.getpid()}",
    }
    found: Attacks = {f"write to {title}": _writing(path) for title, path in places.items()}
    if not name.startswith("app-"):
        found["write its own file"] = lambda: own.write_bytes(b"x")
        found["move a file out"] = lambda: _moving(own, other / "moved")
    if role != "keeper":
        found["read the key"] = lambda: (root / "keeper" / "idevid.key").read_bytes()
    secret = other / orders["secrets"][other.name]
    return {
        **found,
        "read another role's file": lambda: secret.read_bytes(),
        "list another role's files": lambda: os.listdir(other),
        "change the slot": lambda: os.close(os.open(slot, os.O_WRONLY)),
        "change what boot starts": lambda: os.close(
            os.open(root / "slots" / "boot.json", os.O_WRONLY)
        ),
        "cut another role's file": lambda: os.truncate(secret, secret.stat().st_size),
        "open another role's file to all": lambda: os.chmod(secret, 0o600),
        "give another role's file away": lambda: os.chown(secret, os.getuid(), -1),
        "change another role's file's time": lambda: os.utime(secret),
        "tag another role's file": lambda: os.setxattr(secret, "user.x", b"x"),
        "link another role's file": lambda: _linking(secret, own.with_name("stolen")),
        "read the passwords of the host": lambda: Path("/etc/shadow").read_bytes(),
    }


def _writing(path: Path) -> Callable[[], None]:
    def write() -> None:
        made = not path.parent.exists()
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
        path.unlink()
        if made:
            path.parent.rmdir()

    return write


def _moving(path: Path, target: Path) -> None:
    path.write_bytes(b"x")
    path.rename(target)
    target.unlink()


def _linking(path: Path, target: Path) -> None:
    os.link(path, target)
    target.unlink()
