"""One role's process: started with its links, watched, stopped.

Owns process, supervisor link and handover socket of one role. Decides nothing
about restarting (`_policy` does).
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Mapping

from limpet.device.enclosure import Enclosure
from limpet.device.link import messages as m
from limpet.device.link.channel import Answerer, Channel
from limpet.device.link.launch import child_environment, role_command
from limpet.device.link.permits import Role
from limpet.device.link.start import Start, start_arguments
from limpet.device.link.welcome import HANDOVER, STDERR, Welcome, own_namespaces
from limpet.device.supervisor._door import Arrival
from limpet.errors import LimpetError

__all__ = ["Child"]

STDERR_LINE_BYTES = 8192
STOP_ANSWER_SECONDS = 1.0
EXIT_SECONDS = 2.5  # of a role that was asked to stop; a little more than role.STOP_SECONDS

StderrLine = Callable[[Role, str], None]


class Child:
    """A role that was started and has not been reaped yet."""

    def __init__(self, role: Role, *, answer: Answerer, violated: Callable[[Role, str], None]):
        self.role = role
        self.channel = Channel(me=Role.SUPERVISOR, peer=role, answer=answer, violated=violated)
        self.ready = asyncio.Event()
        self.confinement: tuple[m.Confinement, ...] = ()
        self.rest_seconds: float | None = None
        """How long it wants to rest once it has ended."""
        self.started_at = asyncio.get_running_loop().time()
        self._process: asyncio.subprocess.Process | Arrival | None = None
        self._handover: socket.socket | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._kept: dict[Role, socket.socket] | None = None

    @property
    def pid(self) -> int:
        """The process's id, 0 before it was started."""
        return self._process.pid if self._process else 0

    @property
    def is_alive(self) -> bool:
        """Started and not yet ended."""
        return self._process is not None and self._process.returncode is None

    async def start(
        self,
        start: Start,
        ends: Mapping[Role, socket.socket],
        *,
        into: Enclosure,
        stderr_line: StderrLine,
        may_rest: bool = False,
    ) -> None:
        """Start the process with its ends of the links; they belong to it from now on.

        A role that may rest leaves them to us when it does (`leave_links`).
        """
        if may_rest:
            self._kept = {peer: end.dup() for peer, end in ends.items()}
        ours, given, their_handover = self._tie(ends)
        inherited = [*given.values(), their_handover]
        arguments = start_arguments(
            Start(
                role=self.role,
                root=start.root,
                slot=start.slot,
                links={peer: end.fileno() for peer, end in given.items()},
                handover=their_handover.fileno(),
                parent=os.getpid(),
                factory=start.factory,
                options=start.options,
            )
        )
        try:
            self._process = await asyncio.create_subprocess_exec(
                *role_command(start.slot_path, self.role.value, arguments, into=into),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                limit=STDERR_LINE_BYTES,
                env=child_environment(),
                pass_fds=[end.fileno() for end in inherited],
            )
        finally:
            for end in inherited:
                end.close()
        self._tend(ours, stderr_line)

    async def welcome(
        self,
        start: Start,
        ends: Mapping[Role, socket.socket],
        arrival: Arrival,
        *,
        network: bool,
        stderr_line: StderrLine,
    ) -> None:
        """The same for a process that a service manager started. Raises `Unavailable`."""
        ours, given, their_handover = self._tie(ends)
        said, says = os.pipe()
        given_names = (*(peer.value for peer in given), HANDOVER, STDERR)
        message = Welcome(
            role=self.role.value,
            slot=start.slot,
            links=given_names,
            network=network,
            namespaces=own_namespaces(),
            options=dict(start.options),
        )
        inherited = [*(end.fileno() for end in given.values()), their_handover.fileno(), says]
        try:
            await arrival.give(message, inherited, said)
        finally:
            os.close(says)
            for end in (*given.values(), their_handover):
                end.close()
        self._process = arrival
        self._tend(ours, stderr_line)

    def _tie(
        self, ends: Mapping[Role, socket.socket]
    ) -> tuple[socket.socket, dict[Role, socket.socket], socket.socket]:
        """Our end of the new link, the role's ends of all its links, and of the handover."""
        ours, theirs = socket.socketpair()
        self._handover, their_handover = socket.socketpair(type=socket.SOCK_SEQPACKET)
        return ours, {Role.SUPERVISOR: theirs, **ends}, their_handover

    def _tend(self, ours: socket.socket, stderr_line: StderrLine) -> None:
        self._tasks = [
            asyncio.ensure_future(self.channel.run(ours)),
            asyncio.ensure_future(self._copy_stderr(stderr_line)),
        ]

    def hand_over(self, peer: Role, end: socket.socket) -> bool:
        """Give the role its end of a new link to `peer`; whether it could take it."""
        if self._handover is None or not self.is_alive:
            return False
        try:
            self._handover.setblocking(False)
            socket.send_fds(self._handover, [peer.value.encode()], [end.fileno()])
        except OSError:
            return False
        if self._kept is not None:
            if (old := self._kept.pop(peer, None)) is not None:
                old.close()
            self._kept[peer] = end.dup()
        return True

    def leave_links(self) -> dict[Role, socket.socket]:
        """The ends of a role that has ended; whoever takes them closes them."""
        kept, self._kept = self._kept or {}, None
        return kept

    async def wait(self) -> int:
        """The exit status, once it has ended and all it said was read."""
        if self._process is None:
            return 0
        status = await self._process.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.gather(*self._tasks, return_exceptions=True)
        self._close()
        return status

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)

    async def stop(self) -> None:
        """Ask it to stop, wait, then end it; returns when it is gone."""
        if not self.is_alive:
            return
        with contextlib.suppress(LimpetError):
            await self.channel.call(m.Stop(), timeout=STOP_ANSWER_SECONDS)
        try:
            async with asyncio.timeout(EXIT_SECONDS):
                await self.wait()
        except TimeoutError:
            self.kill()
            await self.wait()

    async def _copy_stderr(self, stderr_line: StderrLine) -> None:
        stream = self._process.stderr if self._process else None
        while stream is not None:
            try:
                line = await stream.readline()
            except ValueError:  # longer than the limit: the reader dropped it
                stderr_line(self.role, f"(a line over {STDERR_LINE_BYTES} bytes)")
                continue
            if not line:
                return
            stderr_line(self.role, line.decode("utf-8", "replace").rstrip())

    def _close(self) -> None:
        self.channel.close()
        for task in self._tasks:
            task.cancel()
        if self._handover is not None:
            self._handover.close()
            self._handover = None
