"""What the supervisor does when a role asks: one function a request.

Owns the answers. Every request here was already permitted by the table.
"""

import asyncio
from collections.abc import Awaitable, Callable

from limpet.device.link import messages as m
from limpet.device.link.journal import Journal
from limpet.device.link.permits import Role, peers_of
from limpet.device.link.start import Start, parse_address
from limpet.device.supervisor._policy import counts_against
from limpet.device.supervisor._room import Room
from limpet.device.supervisor._slots import SlotKeeper, begin_erasing
from limpet.device.supervisor.status import (
    Listening,
    read_remote,
    write_listening,
    write_remote,
)
from limpet.errors import LimpetError

__all__ = ["REBOOT", "Requests"]

REBOOT = 75
"""Exit status that asks boot to choose a slot again."""

GRACE_SECONDS = 0.2  # for the answer to arrive before the roles are stopped


class Requests:
    """Answers to the roles. `ended` ends the run, `kill` a role; `ready` notes readiness (and
    may take its time), `rest` that a role is about to end by itself, if it may, and `restart_app`
    has the app end in good order and start again."""

    def __init__(
        self,
        start: Start,
        journal: Journal,
        slots: SlotKeeper,
        room: Room,
        *,
        ended: Callable[[int], None],
        kill: Callable[[Role], None],
        ready: Callable[[Role, tuple[m.Confinement, ...]], Awaitable[None]],
        rest: Callable[[Role, float], bool],
        restart_app: Callable[[], None],
    ) -> None:
        self._start = start
        self._journal = journal
        self._slots, self._room = slots, room
        self._ended = ended
        self._kill = kill
        self._ready = ready
        self._rest = rest
        self._restart_app = restart_app

    async def answer(self, caller: Role, request: m.Request) -> m.Reply:
        """The reply to `caller`; an error is logged and becomes `Refused`."""
        try:
            if isinstance(request, m.Ready):
                await self._ready(caller, request.confinement)
                return m.Done()
            if isinstance(request, m.Activate):
                # A large slot takes its time to be read, and RAUC to write one.
                await asyncio.to_thread(self._slots.activate, request)
                self._log("activated", f"slot {request.slot}, version {request.version}")
                self._restart()
                return m.Done()
            if isinstance(request, m.MakeRoom):
                await (self._room.make() if request.wanted else self._room.release())
                return m.Done()
            if isinstance(request, m.ConfirmTrial):
                await self._confirm()
                return m.Done()
            return self._answer(caller, request)
        except LimpetError as error:
            name = type(request).__name__
            self._log(f"{name.lower()}-refused"[:64], f"{caller.value}: {error}", level="warning")
            return m.Refused(reason=getattr(error, "reason", "unavailable"), message=error.message)

    def _answer(self, caller: Role, request: m.Request) -> m.Reply:
        match request:
            case m.LogEvent():
                self._note(caller, request)
            case m.Rest():
                if not self._rest(caller, request.wake_seconds):
                    return m.Refused(reason="not-now")
            case m.Violation():
                self._accused(caller, request)
            case m.ReadBootRecord():
                return self._slots.read()
            case m.RejectTrial():
                self._slots.reject(request.reason)
                self._log("rejected", request.reason, level="warning")
                self._restart()
            case m.AllowRemoteFunctions():
                self._allow_remote(allowed=request.allowed)
            case m.EraseData():
                begin_erasing(self._start.root)
                self._log("erasing", f"asked by {caller.value}", level="warning")
                self._restart()
            case _:
                return m.Refused(reason="not-served")
        return m.Done()

    async def _confirm(self) -> None:
        """What the copy of the app's state took of the room for updates is that again, not the
        app's: so the app rests meanwhile."""
        if self._room.is_short:
            await self._room.rest_app("room for updates is set aside")
        try:
            self._slots.confirm()
            self._log("confirmed", f"slot {self._start.slot} passed its health check")
        finally:
            await self._room.release()

    def _note(self, caller: Role, request: m.LogEvent) -> None:
        self._journal.write(caller.value, request.event, request.detail, level=request.level)
        if caller is Role.GATEWAY and request.event == "listening":
            host, port = parse_address(request.detail)
            write_listening(self._start.root, Listening(host=host, port=port))

    def _accused(self, accuser: Role, request: m.Violation) -> None:
        """End a role of whom a peer, if its word counts, says that it sent what it may not."""
        detail = f"{request.caller} sent {request.request} to {accuser.value}"
        self._log("violation", detail, level="error")
        for role in peers_of(accuser) - {Role.SUPERVISOR}:
            if role.value == request.caller and counts_against(accuser, role):
                self._kill(role)

    def _allow_remote(self, *, allowed: bool) -> None:
        """The app is started anew with its ways out, or without."""
        if allowed is read_remote(self._start.root):
            return
        write_remote(self._start.root, allowed=allowed)
        does = "are allowed" if allowed else "stop: the support period is over"
        self._log("remote-functions", f"the app's ways out {does}", level="warning")
        self._restart_app()

    def _restart(self) -> None:
        asyncio.get_running_loop().call_later(GRACE_SECONDS, self._ended, REBOOT)

    def _log(self, event: str, detail: str, *, level: str = "info") -> None:
        self._journal.write("supervisor", event, detail, level=level)
