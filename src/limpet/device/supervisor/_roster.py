"""Who is there: the roles that run or rest, and the links between them.

Owns the children of one run and the ends that resting ones left behind. Decides nothing
about starting or restarting.
"""

import asyncio
import socket
from collections.abc import Mapping

from limpet.device.link.permits import Role, peers_of
from limpet.device.supervisor._child import Child
from limpet.device.supervisor._policy import Restarts
from limpet.device.supervisor._rest import Rest
from limpet.device.supervisor.status import RoleStatus

__all__ = ["Roster"]


class Roster:
    """The roles of one run. Of each it knows the last process, and whether that rests."""

    def __init__(self) -> None:
        self._children: dict[Role, Child] = {}
        self._resting: dict[Role, Rest] = {}

    def __getitem__(self, role: Role) -> Child:
        return self._children[role]

    def find(self, role: Role) -> Child | None:
        """The last process of `role`, None if it had none yet."""
        return self._children.get(role)

    def join(self, child: Child) -> dict[Role, socket.socket]:
        """Take `child` in the place of its role's last process; its ends of the links.

        After a rest they are the ends that the role left behind, with what peers have sent. Else
        they are new, and the peers that there are get the other ends; the rest bring theirs.
        """
        self._children[child.role] = child
        rested = self._resting.pop(child.role, None)
        return rested.take() if rested is not None else self._new_links(child.role)

    def lay_down(self, child: Child, *, seconds: float) -> Rest:
        """`child` has ended, and rests for at most `seconds`."""
        rest = self._resting[child.role] = Rest(child.leave_links(), seconds=seconds)
        return rest

    def wake(self, role: Role) -> bool:
        """Have `role` started again if it rests; whether it did. Its process comes later."""
        rest = self._resting.get(role)
        if rest is not None:
            rest.wake()
        return rest is not None

    def kill(self, role: Role) -> None:
        """End the process of `role` at once, if there is one."""
        if (child := self.find(role)) is not None:
            child.kill()

    async def stop(self) -> None:
        """Ask all to stop, end those that do not; returns when they are gone."""
        for rest in self._resting.values():
            rest.close()
        await asyncio.gather(*(child.stop() for child in self._children.values()))

    def describe(self, restarts: Mapping[Role, Restarts]) -> tuple[RoleStatus, ...]:
        """Each role as the device's status has it."""
        return tuple(
            RoleStatus(
                role=role.value,
                pid=0 if role in self._resting else child.pid,
                state=self._state_of(child),
                restarts=restarts.get(role, Restarts()).total,
                confinement=child.confinement,
            )
            for role, child in self._children.items()
        )

    def _state_of(self, child: Child) -> str:
        if child.is_alive:
            return "running" if child.ready.is_set() else "starting"
        return "resting" if child.role in self._resting else "stopped"

    def _new_links(self, role: Role) -> dict[Role, socket.socket]:
        ends: dict[Role, socket.socket] = {}
        for peer in peers_of(role) - {Role.SUPERVISOR}:
            other, resting = self._children.get(peer), self._resting.get(peer)
            ours, theirs = socket.socketpair()
            if resting is not None:
                resting.replace(role, theirs)
                ends[peer] = ours
                continue
            if other is not None and other.hand_over(role, theirs):
                ends[peer] = ours
            else:
                ours.close()
            theirs.close()
        return ends
