"""A role at rest: no process, only its ends of the links, until a peer asks or its time has come.

Owns those ends. Reads nothing from them but whether there is something to read: what a
peer sent stays in the socket for the role's next process.
"""

import asyncio
import contextlib
import socket
from collections.abc import Mapping

from limpet.device.link.permits import Role

__all__ = ["Rest"]


class Rest:
    """The ends that a role left behind, for at most `seconds`."""

    def __init__(self, ends: Mapping[Role, socket.socket], *, seconds: float) -> None:
        self._ends = dict(ends)
        self._seconds = seconds
        self._needed = asyncio.Event()
        for end in self._ends.values():
            self._watch(end)

    def replace(self, peer: Role, end: socket.socket) -> None:
        """The link to `peer`, which was restarted, has this end from now on."""
        self._forget(self._ends.pop(peer, None))
        self._ends[peer] = end
        self._watch(end)

    async def until_needed(self) -> None:
        """Return when a peer has asked something, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                await self._needed.wait()

    def wake(self) -> None:
        """The supervisor itself has something to ask."""
        self._needed.set()

    def take(self) -> dict[Role, socket.socket]:
        """The ends, for the role's next process; nothing is watched any more."""
        ends, self._ends = self._ends, {}
        for end in ends.values():
            asyncio.get_running_loop().remove_reader(end)
        return ends

    def close(self) -> None:
        """End the links."""
        for end in self.take().values():
            end.close()

    def _watch(self, end: socket.socket) -> None:
        asyncio.get_running_loop().add_reader(end, self._look, end)

    def _look(self, end: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if end.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                self._needed.set()
        # A request wakes once; the end of a peer that died wakes nobody.
        asyncio.get_running_loop().remove_reader(end)

    def _forget(self, end: socket.socket | None) -> None:
        if end is not None:
            asyncio.get_running_loop().remove_reader(end)
            end.close()
