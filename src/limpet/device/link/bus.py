"""All links of one role under one roof: ask a peer, serve the peers, keep links alive.

Owns the role's channels and their replacement after a peer was restarted. Serves
nobody but the supervisor before the role has said that it is ready.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

from limpet.device.link import messages as m
from limpet.device.link.channel import ANSWER_SECONDS, Channel
from limpet.device.link.permits import PERMITS, Role, peers_of
from limpet.device.link.start import Start
from limpet.errors import LimpetError, Misuse, Unavailable

__all__ = ["IDLE_SECONDS", "Bus"]

R = TypeVar("R")
Level = Literal["info", "warning", "error"]

MAX_LOGGED = 256
"""Log entries that may wait for the supervisor; the oldest goes first, and is counted."""

RELINK_SECONDS = 2.0
"""How long a call waits for the new link to a peer that is being restarted."""

IDLE_SECONDS = 30.0
"""How long nobody has asked a role that then may rest."""

LEAST_PAUSE_SECONDS = 1.0
"""Between two looks of a role at whether it may rest."""

OPEN_SECONDS = 120.0
"""How long a role waits for the supervisor's leave to serve."""

READY_SECONDS = 30.0
"""How long a peer's request waits for this role to become ready."""

HANDOVER_BYTES = 64
"""Longest name of a peer in a handover."""


class Bus:
    """A role's view of its peers."""

    def __init__(self, start: Start) -> None:
        self.role = start.role
        self._start = start
        self._handlers: dict[type, Callable[[Any], Awaitable[m.Reply]]] = {}
        self._channels = {peer: self._channel(peer) for peer in peers_of(start.role)}
        self._tasks: set[asyncio.Task[None]] = set()
        self._log: asyncio.Queue[m.LogEvent] = asyncio.Queue(MAX_LOGGED)
        self._lost = 0
        self._asked_at = asyncio.get_running_loop().time()
        self._is_ready = asyncio.Event()
        self._stopped = asyncio.Event()

    def on(self, kind: type[R], handler: Callable[[R], Awaitable[m.Reply]]) -> None:
        """Serve requests of `kind` by `handler`.

        An exception in it is answered by `Refused("internal")` (a `LimpetError` by its own
        reason) and logged. Raises `Misuse` for a request that nobody may send this role.
        """
        permitted = any(kind in kinds for (_, to), kinds in PERMITS.items() if to is self.role)
        if not permitted:
            raise Misuse(f"nobody may send {kind.__name__} to {self.role.value}")
        self._handlers[kind] = handler

    async def call(
        self,
        callee: Role,
        request: m.Request,
        *,
        timeout: float = ANSWER_SECONDS,  # noqa: ASYNC109
    ) -> m.Reply:
        """The reply of `callee`; a `Refused` is returned, not raised.

        Raises `Unavailable` when it is dead or silent, `Misuse` for what the table forbids.
        """
        channel = self._channels.get(callee)
        if channel is None:
            raise Unavailable(f"{self.role.value} has no link to {callee.value}")
        if not channel.is_open:
            await channel.wait_open(timeout=min(timeout, RELINK_SECONDS))
        return await channel.call(request, timeout=timeout)

    def log(self, event: str, detail: str = "", *, level: Level = "info") -> None:
        """An entry for the device's log; returns at once, carries no secret."""
        if self._log.full():
            self._log.get_nowait()
            self._lost += 1
        self._log.put_nowait(m.LogEvent(event=event[:64], detail=detail, level=level))

    async def ready(self, confinement: tuple[m.Confinement, ...] = ()) -> None:
        """Tell the supervisor that this role is confined and serves; requests are served now.

        The gateway is kept waiting until the others are ready.
        """
        ready = m.Ready(confinement=confinement)
        reply = await self.call(Role.SUPERVISOR, ready, timeout=OPEN_SECONDS)
        if isinstance(reply, m.Refused):
            raise Unavailable(f"the supervisor refused: {reply.message or reply.reason}")
        self._is_ready.set()

    async def rest_when_idle(
        self, wake: Callable[[], float | None], *, seconds: float = IDLE_SECONDS
    ) -> None:
        """End this process when no peer has asked anything for `seconds`, until one does.

        `wake` gives the seconds after which it shall be started again all the same, None while
        something is under way. Nothing is lost: what a peer sends from then on waits in the link,
        which the supervisor keeps (docs/adr/0084). Returns when the process ends.
        """
        loop = asyncio.get_running_loop()
        while not self._stopped.is_set():
            await asyncio.sleep(max(self._asked_at + seconds - loop.time(), LEAST_PAUSE_SECONDS))
            after = wake() if loop.time() - self._asked_at >= seconds else None
            if after is not None:
                await self.rest(after)

    async def rest(self, after: float) -> bool:
        """End this process now, to be started again when a peer asks or `after` seconds are over;
        whether the supervisor agrees."""
        if await self._rest(after):
            self._stopped.set()
            return True
        return False

    async def until_stopped(self) -> None:
        """Return when the supervisor said `Stop` or is gone."""
        await self._stopped.wait()

    def open(self) -> None:
        """Begin to serve the inherited links (called by `run_role`)."""
        for peer, descriptor in self._start.links.items():
            self._attach(peer, socket.socket(fileno=descriptor))
        self._spawn(self._pump_log())
        if self._start.handover is not None:
            end = socket.socket(fileno=self._start.handover)
            end.setblocking(False)
            asyncio.get_running_loop().add_reader(end, self._receive_link, end)

    async def close(self) -> None:
        """Send what is left of the log (bounded), then end all links."""
        with contextlib.suppress(TimeoutError, LimpetError):
            async with asyncio.timeout(0.5):
                while not self._log.empty():
                    await self._channels[Role.SUPERVISOR].call(self._log.get_nowait())
        for channel in self._channels.values():
            channel.close()

    async def _rest(self, after: float) -> bool:
        """Whether the supervisor lets this role go; else it serves on."""
        peers = [channel for peer, channel in self._channels.items() if peer is not Role.SUPERVISOR]
        # All are paused, whatever one says: a request that comes now is for the next process.
        quiet = [channel.pause() for channel in peers]
        if all(quiet):
            request = m.Rest(wake_seconds=min(max(after, 1.0), m.MAX_REST_SECONDS))
            with contextlib.suppress(LimpetError):
                if isinstance(await self.call(Role.SUPERVISOR, request), m.Done):
                    return True
        for channel in peers:
            channel.resume()
        return False

    def _channel(self, peer: Role) -> Channel:
        return Channel(me=self.role, peer=peer, answer=self._answer, violated=self._violated)

    def _attach(self, peer: Role, end: socket.socket) -> None:
        self._spawn(self._run(peer, end))

    async def _run(self, peer: Role, end: socket.socket) -> None:
        self._channels[peer].close()
        await self._channels[peer].run(end)
        if peer is Role.SUPERVISOR:
            self._stopped.set()

    def _receive_link(self, control: socket.socket) -> None:
        """A new end from the supervisor, as SCM_RIGHTS (unix(7)), named by its peer."""
        try:
            data, descriptors, _, _ = socket.recv_fds(control, HANDOVER_BYTES, 1)
        except OSError:
            data, descriptors = b"", []
        if not data:
            asyncio.get_running_loop().remove_reader(control)
            return
        try:
            peer = Role(data.decode("ascii", "replace"))
        except ValueError:
            peer = Role.SUPERVISOR
        if len(descriptors) == 1 and peer in self._channels and peer is not Role.SUPERVISOR:
            self._attach(peer, socket.socket(fileno=descriptors[0]))
            return
        for descriptor in descriptors:
            os.close(descriptor)

    async def _answer(self, caller: Role, request: m.Request) -> m.Reply:
        if isinstance(request, m.Ping):
            return m.Done()
        if isinstance(request, m.Stop):
            asyncio.get_running_loop().call_soon(self._stopped.set)
            return m.Done()
        name = type(request).__name__
        self._asked_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._is_ready.wait()
        except TimeoutError:
            return m.Refused(reason="not-ready", message=f"{self.role.value} is still starting")
        handler = self._handlers.get(type(request))
        if handler is None:
            return m.Refused(reason="not-served", message=f"{self.role.value} serves no {name}")
        try:
            return await handler(request)
        except LimpetError as error:
            self.log("request-failed", f"{name} of {caller.value}: {error}", level="warning")
            return m.Refused(reason=getattr(error, "reason", "unavailable"), message=error.message)
        except Exception as error:
            detail = f"{name} of {caller.value}: {type(error).__name__}: {error}"
            self.log("request-crashed", detail, level="error")
            return m.Refused(reason="internal", message="an internal error; see the device's log")

    def _violated(self, peer: Role, request: str) -> None:
        if peer is not Role.SUPERVISOR:
            self._spawn(self._accuse(peer, request))

    async def _accuse(self, peer: Role, request: str) -> None:
        with contextlib.suppress(LimpetError):
            await self.call(Role.SUPERVISOR, m.Violation(caller=peer.value, request=request[:64]))

    async def _pump_log(self) -> None:
        while True:
            entry = await self._log.get()
            with contextlib.suppress(LimpetError):
                await self.call(Role.SUPERVISOR, entry)
            if self._lost:
                lost, self._lost = self._lost, 0
                self.log("log-entries-lost", f"{lost} entries", level="warning")

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
