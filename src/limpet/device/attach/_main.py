"""Asking the supervisor for the links of a role, and becoming it.

The process runs already as the role's user, in the namespaces that the service manager gave
it. It connects to the supervisor's socket, which tells by the kernel's word (SO_PEERCRED,
unix(7)) who it is; what it is given are descriptors, and what it then runs is the slot's program.
"""

import argparse
import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import msgspec

from limpet.device.enclosure import MECHANISMS, USER_IDS, Entered
from limpet.device.link.launch import ENTERED, child_environment, role_command
from limpet.device.link.permits import Role
from limpet.device.link.start import Start, start_arguments
from limpet.device.link.welcome import (
    DOOR,
    HANDOVER,
    NAMESPACES,
    STDERR,
    WELCOME_BYTES,
    Welcome,
    own_namespaces,
)
from limpet.errors import LimpetError, Rejected, Unavailable

__all__ = ["main"]

SUPERVISOR_SECONDS = 60.0
"""How long the process waits for the supervisor and its turn; then it is started again."""

TRY_SECONDS = 0.1
MOST_DESCRIPTORS = 16


def main() -> NoReturn:
    """Become the role; does not return."""
    try:
        role, root = _parse(sys.argv[1:])
        welcome, descriptors = _ask(root)
        command = _command(role, root, welcome, descriptors)
        os.execve(command[0], command, child_environment())  # noqa: S606
    except (LimpetError, OSError) as error:
        print(f"limpet: error: {error}", file=sys.stderr, flush=True)
        os._exit(getattr(error, "exit_code", 3))


def _parse(argv: Sequence[str]) -> tuple[Role, Path]:
    parser = argparse.ArgumentParser(prog="python -m limpet.device.attach", allow_abbrev=False)
    parser.add_argument(
        "role", choices=[role.value for role in Role if role is not Role.SUPERVISOR]
    )
    parser.add_argument("root", type=Path, help="the device's directory")
    given = parser.parse_args(argv)
    return Role(given.role), given.root


def _ask(root: Path) -> tuple[Welcome, list[int]]:
    deadline = time.monotonic() + SUPERVISOR_SECONDS
    with _connected(root / "run" / DOOR, deadline) as link:
        link.settimeout(max(deadline - time.monotonic(), TRY_SECONDS))
        try:
            data, descriptors, _, _ = socket.recv_fds(link, WELCOME_BYTES, MOST_DESCRIPTORS)
        except TimeoutError:
            raise Unavailable("the supervisor did not ask for this role") from None
        if not data:
            raise Rejected("not-welcome", f"user {os.getuid()} is no role of the device in {root}")
        try:
            return msgspec.json.decode(data, type=Welcome), descriptors
        except msgspec.DecodeError as error:
            raise Rejected("malformed", f"the supervisor's welcome: {error}") from error


def _connected(path: Path, deadline: float) -> socket.socket:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    while True:
        try:
            link.connect(str(path))
            return link
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > deadline:
                raise Unavailable(f"no supervisor listens at {path}") from None
            time.sleep(TRY_SECONDS)


def _command(role: Role, root: Path, welcome: Welcome, descriptors: list[int]) -> list[str]:
    """The slot's program of the role with its links; descriptors outlive the exec."""
    if len(descriptors) != len(welcome.links) or welcome.role != role.value:
        raise Rejected("not-welcome", f"the supervisor takes this process for {welcome.role}")
    given = dict(zip(welcome.links, descriptors, strict=True))
    os.dup2(given.pop(STDERR), sys.stderr.fileno())
    for descriptor in given.values():
        os.set_inheritable(descriptor, True)
    start = Start(
        role=role,
        root=root,
        slot=welcome.slot,
        handover=given.pop(HANDOVER),
        links={Role(peer): descriptor for peer, descriptor in given.items()},
        parent=os.getppid(),
        options=welcome.options,
    )
    found = msgspec.json.encode(_entered(welcome)).decode()
    arguments = (*start_arguments(start), ENTERED, found)
    return role_command(start.slot_path, role.value, arguments)


def _entered(welcome: Welcome) -> tuple[Entered, ...]:
    """What the service manager put this process into, as the kernel has it."""
    user = os.getuid()
    found = [
        Entered(mechanism=USER_IDS, in_force=user != 0, detail=f"user {user}, group {os.getgid()}")
    ]
    own = own_namespaces()
    for mechanism in MECHANISMS:
        kind = NAMESPACES.get(mechanism)
        if kind is None or (kind == "net" and welcome.network):
            continue
        private = own[kind] != welcome.namespaces[kind]
        detail = "by the service manager" if private else "the service manager gave none"
        found.append(Entered(mechanism=mechanism, in_force=private, detail=detail))
    return tuple(found)
