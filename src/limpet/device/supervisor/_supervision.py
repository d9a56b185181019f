"""One run of one slot: its roles come up in order, are tended, and go down together.

Owns the order of it all. A role that dies is restarted alone; its peers get the new ends of
their links (`_roster`). What roles ask is answered by `_requests`.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from limpet.crypto.suites import CURRENT
from limpet.device.enclosure.users import find_users
from limpet.device.link import messages as m
from limpet.device.link.journal import Journal
from limpet.device.link.launch import readable
from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.device.supervisor._child import Child
from limpet.device.supervisor._design import load_design
from limpet.device.supervisor._door import Arrival, Door
from limpet.device.supervisor._enclosures import enclosure_of, prepare_directories
from limpet.device.supervisor._entropy import Entropy
from limpet.device.supervisor._kept import Kept
from limpet.device.supervisor._policy import (
    DISPENSABLE,
    FACTORY_ORDER,
    LEAST_REST_SECONDS,
    MAY_REST,
    ORDER,
    Restarts,
    calls_out,
    decide_patience,
    decide_restart,
    decide_roles,
)
from limpet.device.supervisor._requests import REBOOT, Requests
from limpet.device.supervisor._room import Room
from limpet.device.supervisor._roster import Roster
from limpet.device.supervisor._slots import SlotKeeper, finish_erasing
from limpet.device.supervisor.button import Button
from limpet.device.supervisor.status import (
    DeviceStatus,
    forget_listening,
    read_listening,
    read_remote,
    write_status,
)
from limpet.errors import LimpetError, Misuse, Unavailable

__all__ = ["REBOOT", "Supervision"]

START_SECONDS = 30.0  # of one role, from its start to Ready
ALL_SECONDS = 120.0  # until every role was ready once
PING_SECONDS, PING_ANSWER_SECONDS, SILENT_PINGS = 5.0, 10.0, 2


class Supervision:
    """The supervisor's state; `run` is its life."""

    def __init__(self, start: Start, journal: Journal, *, clock: Callable[[], datetime]) -> None:
        self._start = start
        self._journal = journal
        self._clock = clock
        self._slots = SlotKeeper(start)
        self._entropy = Entropy(start, self._log, self._write_status)
        self._users = find_users(start.root, first=start.first_user_id, given=start.roles_attach)
        self._door: Door | None = None
        design = load_design(start)
        self._roles, self._calls_out = decide_roles(design), calls_out(design)
        self._roster = Roster()
        self._restarts: dict[Role, Restarts] = {}
        self._up = {role: asyncio.Event() for role in ORDER}
        self._launching = asyncio.Lock()
        self._network_may_open = asyncio.Event()
        self._tending: list[asyncio.Task[None]] = []
        self._telling: asyncio.Task[None] | None = None
        self._outcome: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._button = Button(start.root, self._pressed)
        self._room = Room(
            *(start, self._slots, self._log),
            copied=self._users is not None,
            stop_app=self._stop_app,
        )
        self._requests = Requests(
            *(start, journal, self._slots, self._room),
            ended=self.finish,
            kill=self._roster.kill,
            ready=self._ready,
            rest=self._may_rest,
            restart_app=self._restart_app,
        )
        listening = read_listening(start.root)
        self._port = listening.port if listening else 0
        forget_listening(start.root)

    async def run(self) -> int:
        """Bring the roles up, tend them until something ends the run; the exit status."""
        loop = asyncio.get_running_loop()
        if sys.version_info < (3, 12):  # where this is the default: no thread for each role
            watcher = asyncio.PidfdChildWatcher()
            watcher.attach_loop(loop)
            asyncio.set_child_watcher(watcher)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.finish, 0)
        if self._start.factory:
            from limpet.device.supervisor._factory import forget_half_made

            forget_half_made(self._start.root)
        elif finish_erasing(self._start.root):
            self._log("data-erased", "the factory reset was finished")
        if not self._start.factory and not self._settle_state():
            return REBOOT
        prepare_directories(self._start.root, self._users, self._log)
        if not self._start.factory:
            self._slots.prepare(self._users)
            if failed := await asyncio.to_thread(self._slots.tell_writer):
                self._log("outcome-not-told", failed, level="warning")
            await self._room.set_aside()
        self._open_door()
        await self._entropy.prepare()
        self._write_status()
        self._tending.append(asyncio.ensure_future(self._entropy.run()))
        if not self._start.factory:
            self._button.watch()
        work = asyncio.ensure_future(self._work())
        try:
            waiting: set[asyncio.Future[Any]] = {work, self._outcome}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            status = await self._outcome
        finally:
            work.cancel()
            self._button.close()
            await self._stop()
        if not self._start.factory and finish_erasing(self._start.root):
            self._log("data-erased", "by the owner's factory reset")
        return status

    def _settle_state(self) -> bool:
        """Whether the app may run: before a trial, only once there is a way back."""
        on_trial = self._slots.is_on_trial()
        try:
            done = self._slots.settle_state()
        except Unavailable as error:
            event = "state-not-kept" if on_trial else "state-not-brought-back"
            self._log(event, error.message, level="error")
            return not on_trial
        if done is Kept.NOT_KEPT:
            self._log(done.value, self._slots.no_way_back, level="warning")
        elif done is not Kept.NOTHING:
            self._log(done.value, "the app's directory, as it was before the trial")
        return True

    def _open_door(self) -> None:
        """Where a service manager starts the roles, let them in."""
        if not self._start.roles_attach:
            return
        if self._users is None:
            raise Misuse("roles that attach are known by user ids, and this device has none")
        self._door = Door(
            self._start.root,
            self._users,
            turned_away=lambda who: self._log("turned-away", who, level="warning"),
        )

    def finish(self, status: int) -> None:
        """End the run with `status`; the first call decides."""
        if not self._outcome.done():
            self._outcome.set_result(status)

    async def _work(self) -> None:
        order = FACTORY_ORDER if self._start.factory else self._roles
        try:
            async with asyncio.timeout(ALL_SECONDS):
                self._tending += [asyncio.ensure_future(self._tend(role)) for role in order]
                for role in order:
                    if role is Role.GATEWAY:
                        self._network_may_open.set()
                    await self._until_up(role)
        except TimeoutError:
            self._log("start-failed", "not every role became ready", level="error")
            self.finish(1)
            return
        self._log("running", f"slot {self._start.slot}, {len(order)} roles")
        if self._start.factory:
            # Once in a life: no other start shall pay for it.
            from limpet.device.supervisor._factory import run_factory

            made = run_factory(self._start, self._ask, self._log, self._entropy.report)
            self.finish(await made)

    async def _until_up(self, role: Role) -> None:
        """Wait until `role` was ready, or as long as it may keep the next ones waiting."""
        patience = decide_patience(role, on_trial=self._slots.is_on_trial())
        try:
            async with asyncio.timeout(patience):
                await self._up[role].wait()
        except TimeoutError:
            self._log("role-late", f"{role.value}: the others start without it", level="error")

    async def _tend(self, role: Role) -> None:
        """Keep `role` running until the run ends or it dies too often."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                if role is Role.APP:
                    await self._room.app_may_run.wait()
                arrival = await self._door.next(role) if self._door else None
                async with self._launching:  # two at once would not see each other, nor get a link
                    if role is Role.APP and not self._room.app_may_run.is_set():
                        if arrival is not None:
                            arrival.leave()
                        continue
                    child = await self._launch(role, arrival)
            except (TimeoutError, Unavailable) as error:
                why = str(error) or "the service manager does not start it"
                self._log("role-given-up", f"{role.value}: {why}", level="error")
                self.finish(1)
                return
            watch = asyncio.ensure_future(self._watch(child))
            status = await child.wait()
            watch.cancel()
            if child.rest_seconds is not None and status == 0:
                await self._rest(child, child.rest_seconds)
                continue
            for end in child.leave_links().values():
                end.close()
            if role is Role.UPDATER:
                self._room.release_soon()
            self._up[role].clear()
            restarts, delay = decide_restart(
                self._restarts.get(role, Restarts()),
                lived=loop.time() - child.started_at,
                status=status,
                # These bring nobody down, unless they are what is on trial.
                forever=role in DISPENSABLE and not self._slots.is_on_trial(),
            )
            self._restarts[role] = restarts
            self._write_status()
            self._log("role-ended", f"{role.value}: exit status {status}", level="warning")
            if delay is None:
                self._log("role-given-up", f"{role.value} does not stay up", level="error")
                self.finish(1)
                return
            await asyncio.sleep(delay)

    async def _launch(self, role: Role, arrival: Arrival | None) -> Child:
        child = Child(role, answer=self._requests.answer, violated=self._violated)
        ends = self._roster.join(child)
        start, said = self._start_of(role), self._role_said
        into = enclosure_of(start, self._users, calls_out=self._calls_out)
        if arrival is None:
            may_rest = role in MAY_REST
            await child.start(start, ends, into=into, stderr_line=said, may_rest=may_rest)
        else:
            await child.welcome(start, ends, arrival, network=into.network, stderr_line=said)
        self._write_status()
        return child

    async def _rest(self, child: Child, seconds: float) -> None:
        """Return when `child`, which has ended, is needed again."""
        rest = self._roster.lay_down(child, seconds=seconds)
        self._write_status()
        await rest.until_needed()

    def _may_rest(self, role: Role, seconds: float) -> bool:
        child = self._roster[role]
        lived = asyncio.get_running_loop().time() - child.started_at
        if role not in MAY_REST or lived < LEAST_REST_SECONDS or self._outcome.done():
            return False
        if self._slots.is_on_trial() or self._door is not None:
            return False  # a service manager would start it again at once
        child.rest_seconds = seconds
        return True

    def _start_of(self, role: Role) -> Start:
        """The gateway keeps its port over a restart where the system chose one; the app has no way
        out once its maker's support is over, if that was declared."""
        if role is Role.APP and not read_remote(self._start.root):
            return replace(
                self._start, role=role, options={**self._start.options, "remote": ("off",)}
            )
        restarts = self._restarts.get(role, Restarts())
        listening = read_listening(self._start.root)
        port = listening.port if listening else self._port
        host, wanted = self._start.listen
        if role is not Role.GATEWAY or wanted or not port or restarts.quick > 2:
            return replace(self._start, role=role)
        fixed = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        options = {**self._start.options, "listen": (fixed,)}
        return replace(self._start, role=role, options=options)

    async def _watch(self, child: Child) -> None:
        """See that `child` becomes ready and keeps answering; else end it."""
        name = child.role.value
        try:
            async with asyncio.timeout(START_SECONDS):
                await child.ready.wait()
        except TimeoutError:
            self._log("role-not-ready", f"{name} in {START_SECONDS:g} s", level="error")
            child.kill()
            return
        silent = 0
        while silent < SILENT_PINGS:
            await asyncio.sleep(PING_SECONDS)
            try:
                await child.channel.call(m.Ping(), timeout=PING_ANSWER_SECONDS)
                silent = 0
            except LimpetError:
                silent += 1
        self._log("role-silent", f"{name} does not answer", level="error")
        child.kill()

    async def _ready(self, role: Role, confinement: tuple[m.Confinement, ...]) -> None:
        """Note it. The gateway is answered, and then opens the network, when all others are ready
        (or late, and not waited for any more)."""
        child = self._roster[role]
        child.confinement = confinement
        child.ready.set()
        self._up[role].set()
        gaps = [f"{c.mechanism}: {c.detail}" for c in confinement if not c.in_force]
        if gaps:
            self._log("confinement-gap", f"{role.value}: {'; '.join(gaps)}", level="warning")
        self._write_status()
        if role is Role.GATEWAY:
            await self._network_may_open.wait()

    def _restart_app(self) -> None:
        child = self._roster.find(Role.APP)
        if child is not None:
            self._telling = asyncio.ensure_future(child.stop())

    async def _stop_app(self) -> None:
        async with self._launching:
            child = self._roster.find(Role.APP)
        if child is not None:
            await child.stop()

    def _pressed(self) -> None:
        self._log("button-pressed", "")
        self._telling = asyncio.ensure_future(self._tell_of_the_button())

    async def _tell_of_the_button(self) -> None:
        if self._roster.wake(Role.ACCOUNTS):
            self._up[Role.ACCOUNTS].clear()
            await self._until_up(Role.ACCOUNTS)
        with contextlib.suppress(LimpetError, KeyError):  # accounts is down: press again
            await self._ask(Role.ACCOUNTS, m.PressButton())

    def _violated(self, peer: Role, request: str) -> None:
        self._log("violation", f"{peer.value} sent {request} to supervisor", level="error")
        self._roster.kill(peer)

    def _role_said(self, role: Role, line: str) -> None:
        level = "error" if '"event":"crash"' in line else "warning"
        self._journal.write(role.value, "stderr", line, level=level)
        with contextlib.suppress(OSError):
            print(f"{role.value}: {readable(line)}", file=sys.stderr, flush=True)

    async def _ask(self, role: Role, request: m.Request) -> m.Reply:
        return await self._roster[role].channel.call(request)

    async def _stop(self) -> None:
        for task in self._tending:
            task.cancel()
        if self._door is not None:
            self._door.close()
        await self._roster.stop()
        self._entropy.keep_seed()
        self._write_status()

    def _write_status(self) -> None:
        try:
            record = self._slots.read()
            status = DeviceStatus(
                supervisor_pid=os.getpid(),
                slot=record.running,
                version=record.version,
                on_trial=record.on_trial,
                started_at=self._clock(),
                suite=str(CURRENT.id),
                roles=self._roster.describe(self._restarts),
                randomness=self._entropy.report,
            )
            write_status(self._start.root, status)
        except LimpetError as error:
            self._log("status-not-written", str(error), level="warning")

    def _log(self, event: str, detail: str, *, level: str = "info") -> None:
        self._journal.write("supervisor", event, detail, level=level)
