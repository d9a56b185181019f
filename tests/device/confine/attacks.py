"""A taken role: confines itself as told, then tries what an attacker would try.

Run as a program by test_confine; prints {attempt: "done" | name of the error}.
Arguments: role (or "free"), device root, another process's id.
"""

import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from limpet.device.confine import confine
from limpet.device.link.permits import Role
from limpet.device.link.start import Start

LIBC = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    name, root, victim = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    role = Role.KEEPER if name == "free" else Role(name)
    target = f"vendor.example:443=127.0.0.1:{port}"
    start = Start(
        role=role,
        root=root,
        slot="a",
        options={"resolve": (target,)},
    )
    "a.example".encode("idna")  # the codec is a library: nothing is loaded any more later on
    report: dict[str, object] = {}
    if name != "free":
        report["confinement"] = {c.mechanism: c.in_force for c in confine(role, start)}
    for attempt, work in attempts(root, role, victim, port).items():
        report[attempt] = outcome(work)
    print(json.dumps(report))


def attempts(root: Path, role: Role, victim: int, port: int) -> dict[str, Callable[[], object]]:
    own = root / role.value / "file"
    return {
        "start a program": lambda: subprocess.run(["/bin/true"], check=True),
        "execute": execute_alone,
        "fork": fork,
        "read another role": lambda: (root / "other" / "secret").read_bytes(),
        "read the host": lambda: Path("/etc/passwd").read_bytes(),
        "read the slot": lambda: (root / "slots" / "a" / "file").read_bytes(),
        "write the slot": lambda: (root / "slots" / "a" / "file").write_bytes(b"x"),
        "truncate the slot": lambda: os.truncate(root / "slots" / "a" / "file", 1),
        "press the button": lambda: (root / "run" / "button").write_bytes(b"x"),
        "write beside": lambda: (root / "beside").write_bytes(b"x"),
        "write own": lambda: own.write_bytes(b"x"),
        "rename own": lambda: own.rename(own.with_name("renamed")),
        "link out": lambda: os.link(root / "other" / "secret", root / role.value / "stolen"),
        "open tcp": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close(),
        "open udp": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close(),
        "open raw": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
        "open netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
        "listen elsewhere": lambda: listen(port),
        "connect to the vendor": lambda: socket.create_connection(("127.0.0.1", port), 2).close(),
        "connect elsewhere": connect_elsewhere,
        "trace": lambda: check(LIBC.ptrace(16, victim, 0, 0)),  # PTRACE_ATTACH
        "read memory": lambda: read_memory(victim),
        "signal": lambda: os.kill(victim, signal.SIGCONT),
        "mount": lambda: check(LIBC.mount(b"none", b"/nonexistent", b"tmpfs", 0, None)),
        "program the kernel": lambda: check(LIBC.syscall(321, 0, 0, 0)),  # bpf(2)
        "start a thread": start_thread,
        "new namespace": lambda: check(LIBC.unshare(0x04000000)),  # CLONE_NEWUTS
    }


def outcome(work: Callable[[], object]) -> str:
    try:
        work()
    except OSError as error:
        # link(2) over the border of a Landlock domain fails with EXDEV
        return "PermissionError" if error.errno == 18 else type(error).__name__
    return "done"


def check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def execute_alone() -> None:
    """execve itself, without a fork before it; what is wrong with the path comes second."""
    os.execve("/nonexistent", ["x"], {})  # noqa: S606


def fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def listen(near: int) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", near + 1 if near < 65535 else near - 1))


def connect_elsewhere() -> None:
    with socket.socket() as one:
        one.settimeout(2)
        code = one.connect_ex(("127.0.0.1", 9))
        if code in (1, 13):
            raise PermissionError(code, "refused by the kernel")


def read_memory(victim: int) -> None:
    buffer = ctypes.create_string_buffer(16)
    here = struct.pack("PN", ctypes.addressof(buffer), 16)
    result = LIBC.process_vm_readv(victim, here, ctypes.c_ulong(1), here, ctypes.c_ulong(1), 0)
    if result < 0 and ctypes.get_errno() != 14:  # EFAULT: allowed, only the address is wrong
        check(result)


def start_thread() -> None:
    thread = threading.Thread(target=lambda: None)
    try:
        thread.start()
    except RuntimeError as error:  # how Python says that clone(2) failed
        raise PermissionError(*error.args) from error
    thread.join()


main()
