"""The updater at work: checks one after another, the trial of a new slot, the reports.

Owns the state between checks and the order in which it is made durable. All
blocking work runs in one worker thread; what it needs from outside comes as
`Surroundings`, so that tests run the same engine against a hostile repository.
Never talks to the network itself.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

import msgspec

from limpet.device.link import messages as m
from limpet.device.updater.check import Check, CheckResult, Outcome, run_check
from limpet.device.updater.device import Device
from limpet.device.updater.facts import device_facts
from limpet.device.updater.holding import lacks_room
from limpet.device.updater.judge import Judge
from limpet.device.updater.memory import Memory
from limpet.device.updater.reports import ReportQueue
from limpet.device.updater.repository import Repository
from limpet.device.updater.rest import (
    LEAST_SECONDS,
    is_restful,
    keep_rest,
    recall_check,
    take_rest,
)
from limpet.device.updater.standing import State, describe_standing
from limpet.device.updater.support import SupportStanding, decide_support
from limpet.device.updater.surroundings import Surroundings, make_line
from limpet.device.updater.telling import Teller, tell_refusal, tell_settled
from limpet.device.updater.timetable import Timetable
from limpet.device.updater.transfer import Account
from limpet.device.updater.trial import Verdict
from limpet.device.updater.way import way_of
from limpet.device.updater.words import say_hold
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.firmware.decision import OWNER_HOLDS, VENDOR_HOLDS

__all__ = ["Engine"]

T = TypeVar("T")


class Engine:
    """One device's updater. `start` first; then `run` for ever, or `check` by hand."""

    def __init__(self, device: Device, around: Surroundings) -> None:
        self._device, self._around = device, around
        places = device.places
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="updater")
        self._queue = ReportQueue(places.reports, model=device.identity.model)
        self._repository = Repository(
            around.source,
            model=device.identity.model,
            directory=places.own,
            trusted_root=device.trusted_root,
            gate_keys=device.gate_keys,
        )
        self._memory = Memory(device)
        self._teller = Teller(
            device,
            self._queue,
            around.log,
            now=self.now,
            was_told=self._memory.was_told,
            remember=self._memory.remember,
        )
        self._timetable = Timetable(
            device.product.update, monotonic=around.monotonic, random=around.random
        )
        self._judge = Judge(device, around, warn=self._teller.warn, look=self._look)
        self._state: State = "idle"
        self._result: CheckResult | None = None
        self._fetching: m.Fetching | None = None
        self._remote: bool | None = None  # as the supervisor was told by this process
        self._consent, self._hurry = "", False
        self._app_rests = False  # so that it takes no room while an update is fetched
        self._one_check = asyncio.Lock()
        self._activated: CheckResult | None = None  # this process is about to be stopped

    # --- what the role serves

    @property
    def policy(self) -> m.UpdatePolicy:
        """The owner's choice in force."""
        return self._memory.policy

    @property
    def has_looked(self) -> bool:
        """Whether a check was made since the start."""
        return self._result is not None

    def set_policy(self, policy: m.UpdatePolicy) -> None:
        """Keep another policy, durable on return; it holds from the next decision on."""
        self._memory.set_policy(policy)
        self._reconsider()

    def postpone(self, days: int) -> None:
        """Hold updates back for `days` from now, durable on return; 0 ends it.

        Raises `Rejected("no-holding" | "hold-too-long")`.
        """
        self._memory.postpone(days, now=self.now())
        self._reconsider()

    def consent(self) -> None:
        """The owner agrees to the release that is held.

        Raises `Rejected("nothing-held" | "vendor-holds")`; the latter's message is the hold's own.
        """
        if self._result is None or self._result.outcome is not Outcome.HELD:
            raise Rejected("nothing-held", "no update is held; look for one with a check first")
        hold = self._result.hold
        if hold is not None and hold.reason in VENDOR_HOLDS:
            raise Rejected("vendor-holds", f"{say_hold(hold)}; only the vendor can change that")
        self._consent = self._result.manifest_sha256
        self._timetable.wake()

    def status(self) -> m.UpdateStatus:
        """Where the updater stands."""
        return describe_standing(
            self._device,
            policy=self._memory.policy,
            postponement=self._memory.postponement,
            progress=self._memory.progress,
            state=self._state,
            fetching=self._fetching,
            result=self._result,
            trial=self._judge.trial,
            boot=self._memory.boot,
            support=self._support(),
            app_rests=self._app_rests,
            next_check=self._timetable.next_check,
            now=self.now(),
        )

    @property
    def time_floor(self) -> datetime:
        """UTC: a time that is certainly past, because an offline key has signed it."""
        return self._memory.floor.time

    def now(self) -> datetime:
        """UTC, never before the time floor."""
        return max(self._around.wall(), self._memory.floor.time)

    # --- life
    async def start(self) -> None:
        """Load what was kept, and settle what was under way before this start."""
        reply = await self._around.supervisor(m.ReadBootRecord())
        if not isinstance(reply, m.BootRecord):
            raise Unavailable("the supervisor does not say what boot knows")
        self._memory.load(reply, warn=self._teller.warn)
        rested = take_rest(self._device.places.rest, version=self._device.description.version)
        if rested is not None:
            self._result = recall_check(rested, self._memory.floor)
            self._timetable.recall(rested.check_at, rested.failures, left=rested.left)
            self._teller.told_running = rested.told_running
        self._settle()

    async def run(self) -> None:
        """Judge the trial if there is one, then check for ever."""
        if self._memory.boot.on_trial:
            await self.judge_trial()
        while True:
            await self._timetable.wait_until_due(
                lambda: self._timetable.draw(self.policy, self._result, now=self.now()),
                now=self.now,
                is_hurried=self._take_hurry,
            )
            try:
                await self.check()
            except LimpetError as error:  # our own disk: the next check may do better
                self._timetable.count(failed=True)
                self._teller.warn("update-check-failed", str(error))

    def rest(self) -> float | None:
        """Seconds until the next check or the next change of support, once the next process knows
        of it; None while anything is under way or waits. Raises `Unavailable`."""
        change = self._support().next_change(self.now())
        left = self._timetable.left
        idle = self._state == "idle" and not self._consent and not self._one_check.locked()
        due = LEAST_SECONDS <= left < float("inf")
        if not (idle and due and is_restful(self._result)) or self._teller.owes:
            return None
        if self._queue.waiting():
            return None
        keep_rest(
            self._device.places.rest,
            self._result,
            version=self._device.description.version,
            check_at=self._timetable.check_at,
            left=left,
            failures=self._timetable.failures,
            told_running=self._teller.told_running,
        )
        return left if change is None else min(left, (change - self.now()).total_seconds() + 1)

    async def check(self) -> CheckResult:
        """One whole check, up to the activation; never raises what a peer can cause.

        After that it looks no more: it would write the same release into the staging area again.
        """
        async with self._one_check:
            if self._activated is not None:
                return self._activated
            self._settle()
            check = self._check_order()
            result = await self._work(lambda: run_check(check))
            try:
                if lacks_room(result.reason):
                    result = await self._check_with_room(result)
                refused = await self._finish(result)
                if lacks_room(refused) and not self._app_rests:  # filled at the last moment
                    result = await self._check_with_room(result)
                    await self._finish(result)
            finally:
                await self._leave_room()
            return result

    async def _check_with_room(self, result: CheckResult) -> CheckResult:
        """The check once more while the app, which may have taken the room, rests."""
        self._memory.floor, self._app_rests = result.floor, True
        reply = await self._around.supervisor(m.MakeRoom(wanted=True))
        if not isinstance(reply, m.Done):
            return result
        self._settle()
        check = self._check_order()
        return await self._work(lambda: run_check(check))

    async def _leave_room(self) -> None:
        if self._app_rests and self._activated is None:
            self._app_rests = False
            await self._around.supervisor(m.MakeRoom(wanted=False))

    async def judge_trial(self) -> Verdict:
        """Watch the new slot until it is confirmed or rejected."""
        self._enter("trial")
        verdict = await self._judge.judge()
        if verdict.passed:
            self._memory.boot = msgspec.structs.replace(
                self._memory.boot, on_trial=False, version=self._device.description.version
            )
            self._enter("idle")
            self._settle()
            await self.flush()
        return verdict

    async def tell_support(self) -> float:
        """Say in the log that support ends soon or is over, and see that what then stops does.

        Seconds until that changes by itself.
        """
        standing, now = self._support(), self.now()
        key = f"{standing.phase.value} {standing.until:%Y-%m-%dT%H:%M:%SZ}"
        if standing.notice and not self._memory.was_told(key):
            self._teller.warn(standing.phase.value, standing.notice)
            self._memory.remember(key)
        if standing.remote_functions is not self._remote:
            allowed = standing.remote_functions
            reply = await self._around.supervisor(m.AllowRemoteFunctions(allowed=allowed))
            self._remote = allowed if isinstance(reply, m.Done) else None
        change = standing.next_change(now)
        return (change - now).total_seconds() if change is not None else float("inf")

    async def flush(self) -> bool:
        """Send the reports that wait; whether none waits any more. Never raises for a peer."""
        delivery = self._around.delivery()
        try:
            if delivery is not None:
                await self._work(lambda: self._queue.send(delivery))
            return not self._queue.waiting()
        except LimpetError as error:
            self._teller.warn("reports-wait", str(error))
            return False

    def close(self) -> None:
        """Let go of the worker."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    # --- one check

    def _check_order(self) -> Check:
        places = self._device.places
        return Check(
            repository=self._repository,
            source=self._around.source,
            line=make_line(
                self._around,
                limits=(
                    self._memory.policy.bandwidth,
                    self._device.product.update.bandwidth_bytes_per_second,
                ),
                now=self.now,
                moved=self._moved,
            ),
            metered=self._memory.policy.metered,
            account=Account(places.transfers, warn=self._teller.warn),
            facts=device_facts(
                self._device,
                boot=self._memory.boot,
                floor=self._memory.floor,
                progress=self._memory.progress,
            ),
            policy=self._memory.owner_policy(),
            consented=self._consent,
            floor=self._memory.floor,
            keep_floor=self._memory.keep_floor,
            now=self.now,
            running_slot=self._device.slot,
            running_tree=self._memory.boot.tree_sha256,
            running_path=self._device.slot_path,
            delta_record=places.delta,
            staging=places.staging,
            devices=self._device.devices,
            journal=places.journal,
            tell=self._teller.tell,
            state=self._enter,
        )

    async def _finish(self, result: CheckResult) -> str:
        """Keep and tell what the check found, and activate; why that was refused, or ""."""
        self._memory.floor, self._result = result.floor, result
        self._memory.keep_support(result.support)
        await self.tell_support()
        self._timetable.count(failed=result.outcome is Outcome.UNAVAILABLE)
        self._enter("held" if result.outcome is Outcome.HELD else "idle")
        self._memory.note_check(result, self.now())
        if result.outcome not in (Outcome.HELD, Outcome.UNAVAILABLE):
            self._consent = ""
        if result.outcome is Outcome.NOTHING:
            self._teller.tell_running(sampled=result.sampled)
        await self.flush()
        return await self._activate(result)

    async def _activate(self, result: CheckResult) -> str:
        """Remember the attempt, then ask; a refusal is a refusal of the release."""
        if result.activation is None:
            return ""
        self._enter("installing")
        attempt = result.attempt
        self._memory.begin(attempt)
        reply = await self._around.supervisor(result.activation)
        if isinstance(reply, m.Refused):
            self._memory.drop_attempt()
            self._enter("idle")
            self._teller.tell(tell_refusal(attempt, reply))
            return reply.reason
        self._activated = result
        return ""

    # --- small parts

    def _settle(self) -> None:
        """What cannot be kept now is settled with the next check; no reason to end this process."""
        try:
            self._memory.settle(lambda settled: self._teller.tell(tell_settled(settled)))
        except Unavailable as error:
            self._teller.warn("not-settled", str(error))

    def _reconsider(self) -> None:
        """The owner chose otherwise: what only the owner held is looked at again at once."""
        held = self._result.hold if self._result else None
        self._hurry = held is not None and held.reason in OWNER_HOLDS
        self._timetable.wake()

    def _take_hurry(self) -> bool:
        hurry, self._hurry = self._hurry or bool(self._consent), False
        return hurry

    async def _look(self) -> None:
        memory = self._memory
        offer = await self._work(
            lambda: self._repository.look(memory.floor, now=self.now(), keep=memory.keep_floor)
        )
        memory.floor = offer.floor

    def _support(self) -> SupportStanding:
        promised = self._device.product.support
        return decide_support(promised, self._memory.support, self.now())

    def _enter(self, state: State) -> None:
        self._state, self._fetching = state, None

    def _moved(self, path: str, done: int, size: int) -> None:
        """From the worker, for each chunk: only in memory, and whole, so that it needs no lock."""
        self._fetching = m.Fetching(way=way_of(path), done=done, size=size)

    async def _work(self, task: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, task)
