"""Roles that a service manager started: they come to a socket, and are known by their user id.

Owns the socket `run/attach.sock` and the processes behind it. Whoever has no role's id is
turned away; whoever has one gets what a role that the supervisor starts itself would get.
"""

import asyncio
import contextlib
import os
import signal
import socket
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from limpet.device.enclosure.users import Users
from limpet.device.link.permits import Role
from limpet.device.link.welcome import DOOR, WELCOME_BYTES, Welcome
from limpet.errors import Unavailable
from limpet.storage import remove_durably

__all__ = ["ARRIVAL_SECONDS", "Arrival", "Door"]

ARRIVAL_SECONDS = 60.0
"""How long the supervisor waits for the service manager to start a role."""

BACKLOG = 16
UNKNOWN_STATUS = 1  # only a parent learns the exit status of a process
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid (unix(7), SO_PEERCRED)


class Arrival:
    """A process of a role that connected; the same face as a process that was started."""

    def __init__(self, link: socket.socket, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stderr: asyncio.StreamReader | None = None
        self._link = link
        self._descriptor = os.pidfd_open(pid)  # raises ProcessLookupError
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._descriptor, self._note_end)

    async def give(self, welcome: Welcome, descriptors: Sequence[int], said: int) -> None:
        """Hand it its links, and take what it says on stderr. Raises `Unavailable`.

        `said` is the reading end of a pipe, ours from now on.
        """
        self.stderr = asyncio.StreamReader()
        reader = self.stderr
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(said, "rb", 0)
        )
        data = msgspec.json.encode(welcome)
        try:
            if len(data) > WELCOME_BYTES:
                raise Unavailable("the arguments of a role are too long")
            socket.send_fds(self._link, [data], list(descriptors))
        except OSError as error:
            raise Unavailable(f"{welcome.role} went away: {error.strerror}") from error
        finally:
            self._link.close()

    async def wait(self) -> int:
        """Until it has ended."""
        await self._ended.wait()
        return UNKNOWN_STATUS

    def send_signal(self, number: int) -> None:
        """Raises `ProcessLookupError`. It cannot hit another process of the same number."""
        signal.pidfd_send_signal(self._descriptor, signal.Signals(number))

    def leave(self) -> None:
        """Turn it away: it was replaced, or the supervisor ends."""
        self._link.close()
        self._note_end()

    def _note_end(self) -> None:
        if self.returncode is None:
            self.returncode = UNKNOWN_STATUS
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._ended.set()


class Door:
    """The socket, and who waits behind it. `turned_away` is told of strangers, for the log."""

    def __init__(self, root: Path, users: Users, *, turned_away: Callable[[str], None]) -> None:
        self._path = root / "run" / DOOR
        self._roles = {users[role.value].uid: role for role in Role if role.value in users}
        self._turned_away = turned_away
        self._waiting: dict[Role, Arrival] = {}
        self._came = {role: asyncio.Event() for role in self._roles.values()}
        remove_durably(self._path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self._socket.bind(str(self._path))
        self._path.chmod(0o666)  # the kernel tells who comes
        self._socket.listen(BACKLOG)
        asyncio.get_running_loop().add_reader(self._socket, self._accept)

    async def next(self, role: Role) -> Arrival:
        """The newest process of `role` that came. Raises `TimeoutError`."""
        async with asyncio.timeout(ARRIVAL_SECONDS):
            while True:
                await self._came[role].wait()
                self._came[role].clear()
                arrival = self._waiting.pop(role)
                if arrival.returncode is None:
                    return arrival

    def close(self) -> None:
        """Turn away who waits."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        for arrival in self._waiting.values():
            arrival.leave()
        self._waiting.clear()

    def _accept(self) -> None:
        try:
            link, _ = self._socket.accept()
        except OSError:
            return
        data = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(data)
        role = self._roles.get(uid)
        if role is None:
            self._turned_away(f"process {pid} of user {uid} is no role")
            link.close()
            return
        with contextlib.suppress(ProcessLookupError):
            if (older := self._waiting.pop(role, None)) is not None:
                older.leave()
            self._waiting[role] = Arrival(link, pid)
            self._came[role].set()
