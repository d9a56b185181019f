"""Room for an update on a disk that an app has filled: the app rests, then the room is free.

Owns whether the app may run, and when the reserve is there. An app that is stopped cannot take
what is given back; one that is started again finds the reserve made.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from limpet.device.link.start import Start
from limpet.device.supervisor._reserve import Reserve, measure_need
from limpet.device.supervisor._slots import SlotKeeper
from limpet.errors import Rejected, Unavailable
from limpet.firmware.devices import load_devices

__all__ = ["MOST_SECONDS", "Room"]

MOST_SECONDS = 1800.0
"""How long the app rests at most: who slows an update down shall not stop the product for hours.
What was fetched is kept, and the next check goes on."""


class Log(Protocol):
    """Writes to the device's log."""

    def __call__(self, event: str, detail: str, *, level: str = "info") -> None:
        """One entry."""


class Room:
    """The room for updates of one run. `stop_app` returns when the app has no process.

    `copied`: the supervisor copies what the updater has fetched, being another user.
    """

    def __init__(
        self,
        start: Start,
        slots: SlotKeeper,
        log: Log,
        *,
        copied: bool,
        stop_app: Callable[[], Awaitable[None]],
    ) -> None:
        self._start, self._slots, self._log = start, slots, log
        self._copies, self._stop_app = 2 if copied else 1, stop_app
        self._reserve = Reserve(start.root)
        self._end: asyncio.TimerHandle | None = None
        self._one = asyncio.Lock()
        self._releasing: asyncio.Task[None] | None = None
        self.is_short = False  # of what should be set aside
        self.app_may_run = asyncio.Event()
        self.app_may_run.set()

    async def set_aside(self) -> None:
        """Make the reserve, while no app runs. What is lacking is told, and no more.

        The first one leaves something for everybody else, and so does one beside a trial, which
        must be able to work. Any other takes all that it had before: the rest would be the app's.
        """
        try:
            lacking = await asyncio.to_thread(self._keep)
        except (OSError, Unavailable, Rejected) as error:
            lacking = str(error)
        self.is_short = bool(lacking)
        if lacking:
            self._log("update-room", f"not all of it is set aside: {lacking}", level="warning")

    async def make(self) -> None:
        """For the updater. Raises `Rejected("not-now")` on trial: there an update is already."""
        if self._slots.is_on_trial():
            raise Rejected("not-now", "no update is fetched while one is on trial")
        await self.rest_app("an update lacks room on the disk")

    async def rest_app(self, why: str) -> None:
        """Stop the app, then free the reserve, until `release`."""
        async with self._one:
            self.app_may_run.clear()
            self._log("app-rests", why, level="warning")
            await self._stop_app()
            await asyncio.to_thread(self._reserve.give_back)
            self._cancel()
            self._end = asyncio.get_running_loop().call_later(MOST_SECONDS, self.release_soon)

    async def release(self) -> None:
        """Make the reserve again, then let the app run."""
        async with self._one:
            self._cancel()
            if not self.app_may_run.is_set():
                await self.set_aside()
                self.app_may_run.set()
                self._log("app-runs", "the room for updates is set aside again")

    def release_soon(self) -> None:
        """The same: the time is over, or the updater has ended."""
        if not self.app_may_run.is_set():
            self._releasing = asyncio.ensure_future(self.release())

    def _keep(self) -> str:
        start, spare = self._start, self._slots.is_on_trial() or not self._reserve.is_made
        tree = start.slot_path if load_devices(start.root) is None else None
        need = measure_need(tree, start.staging, copies=self._copies)
        return self._reserve.keep(need, spare=spare)

    def _cancel(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None
