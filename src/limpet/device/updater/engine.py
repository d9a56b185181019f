"""The updater at work: checks one after another, the trial of a new slot, the reports.

Owns the state between checks and the order in which it is made durable. All
blocking work runs in one worker thread; what it needs from outside comes as
`Surroundings`, so that tests run the same engine against a hostile repository.
Never talks to the network itself.
"""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from limpet.device.link import messages as m
from limpet.device.updater.check import Check, CheckResult, Outcome, run_check
from limpet.device.updater.device import Device
from limpet.device.updater.facts import device_facts
from limpet.device.updater.floor import Floor, load_floor, raise_floor, save_floor
from limpet.device.updater.policy import (
    default_policy,
    load_policy,
    owner_policy,
    save_policy,
)
from limpet.device.updater.progress import (
    MAX_REPORTED,
    Progress,
    begin_attempt,
    load_progress,
    save_progress,
    settle,
)
from limpet.device.updater.reports import ReportQueue
from limpet.device.updater.repository import Repository
from limpet.device.updater.rest import (
    LEAST_SECONDS,
    is_restful,
    keep_rest,
    recall_check,
    take_rest,
)
from limpet.device.updater.schedule import Interval, choose_interval, decide_wait
from limpet.device.updater.standing import State, describe_standing
from limpet.device.updater.surroundings import Surroundings
from limpet.device.updater.telling import Happening, Teller, tell_settled
from limpet.device.updater.trial import Trial, Verdict
from limpet.device.updater.watching import watch_trial
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.wire.report import ReportKind
from limpet.wire.support import SupportStatement

__all__ = ["Engine"]

T = TypeVar("T")

_RETRY_CONFIRM_SECONDS = 1.0


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
        )
        self._teller = Teller(
            device,
            self._queue,
            around.log,
            now=self.now,
            was_told=lambda key: key in self._progress.reported,
            remember=self._remember,
        )
        self._policy = default_policy(device.product.update)
        self._floor, self._progress = Floor(time=device.description.built_at), Progress()
        self._boot = m.BootRecord(
            running=device.slot,
            on_trial=False,
            version=device.description.version,
            security_counter=device.description.security_counter,
        )
        self._state: State = "idle"
        self._result: CheckResult | None = None
        self._support: SupportStatement | None = None
        self._next_check: datetime | None = None
        self._check_at = float("inf")  # of the monotonic clock
        self._failures, self._consent = 0, ""
        self._one_check, self._wake = asyncio.Lock(), asyncio.Event()

    # --- what the role serves

    @property
    def policy(self) -> m.UpdatePolicy:
        """The owner's choice in force."""
        return self._policy

    @property
    def has_looked(self) -> bool:
        """Whether a check was made since the start."""
        return self._result is not None

    def set_policy(self, policy: m.UpdatePolicy) -> None:
        """Keep another policy, durable on return; it holds from the next decision on."""
        save_policy(self._device.places.policy, policy)
        self._policy = policy
        self._wake.set()

    def consent(self) -> None:
        """The owner agrees to the release that is held. Raises `Rejected("nothing-held")`."""
        if self._result is None or self._result.outcome is not Outcome.HELD:
            raise Rejected("nothing-held", "no update waits for consent")
        self._consent = self._result.manifest_sha256
        self._wake.set()

    def status(self) -> m.UpdateStatus:
        """Where the updater stands."""
        return describe_standing(
            self._device,
            policy=self._policy,
            state=self._state,
            result=self._result,
            support=self._support,
            last_check=self._progress.last_check,
            next_check=self._next_check,
            now=self.now(),
        )

    @property
    def time_floor(self) -> datetime:
        """UTC: a time that is certainly past, because an offline key has signed it."""
        return self._floor.time

    def now(self) -> datetime:
        """UTC, never before the time floor."""
        return max(self._around.wall(), self._floor.time)

    # --- life
    async def start(self) -> None:
        """Load what was kept, and settle what was under way before this start."""
        places = self._device.places
        reply = await self._around.supervisor(m.ReadBootRecord())
        if not isinstance(reply, m.BootRecord):
            raise Unavailable("the supervisor does not say what boot knows")
        self._boot = reply
        self._floor, warning = load_floor(
            places.floor,
            built_at=self._device.description.built_at,
            security_counter=reply.security_counter,
        )
        self._teller.warn("floor-damaged", warning)
        self._progress, warning = load_progress(places.progress)
        self._teller.warn("progress-damaged", warning)
        try:
            self._policy = load_policy(places.policy, default=self._policy)
        except Rejected as error:
            self._teller.warn("policy-damaged", f"{error.message}; the product's own policy holds")
        rested = take_rest(places.rest, version=self._device.description.version)
        if rested is not None:
            self._result, self._support = recall_check(rested, self._floor), rested.support
            self._check_at, self._failures = rested.check_at, rested.failures
            self._teller.told_running = rested.told_running
        self._settle()

    async def run(self) -> None:
        """Judge the trial if there is one, then check for ever."""
        if self._boot.on_trial:
            await self.judge_trial()
        while True:
            now = self._around.monotonic()
            # What was due before a rest is due after it: who wakes us shall not put it off.
            wait = min(self._wait(), max(self._check_at - now, 0.0))
            self._check_at = now + wait
            self._next_check = self.now() + timedelta(seconds=wait)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
                    if not self._consent:
                        self._check_at = float("inf")
                        continue  # another policy: draw another wait
            self._check_at = float("inf")
            try:
                await self.check()
            except LimpetError as error:  # our own disk: the next check may do better
                self._failures += 1
                self._teller.warn("update-check-failed", str(error))

    def rest(self) -> float | None:
        """Seconds until the next check, once the next process knows of it; None while anything is
        under way or waits. Raises `Unavailable`."""
        left = self._check_at - self._around.monotonic()
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
            check_at=self._check_at,
            failures=self._failures,
            told_running=self._teller.told_running,
            support=self._support,
        )
        return left

    async def check(self) -> CheckResult:
        """One whole check, up to the activation; never raises what a peer can cause."""
        async with self._one_check:
            check = self._check_order()
            result = await self._work(lambda: run_check(check))
            await self._finish(result)
            return result

    async def judge_trial(self) -> Verdict:
        """Watch the new slot until it is confirmed or rejected."""
        self._state = "trial"
        around = self._around
        trial = Trial(
            deadline=float(self._device.product.update.health_deadline_seconds),
            begun=around.monotonic(),
        )
        verdict = await watch_trial(
            trial,
            health=around.health,
            reach=self._probe,
            monotonic=around.monotonic,
            sleep=around.sleep,
        )
        await self._end_trial(verdict)
        return verdict

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
            facts=device_facts(
                self._device, boot=self._boot, floor=self._floor, progress=self._progress
            ),
            policy=owner_policy(self._policy),
            consented=self._consent,
            floor=self._floor,
            keep_floor=lambda floor: save_floor(places.floor, floor),
            now=self.now,
            running_slot=self._device.slot,
            staging=places.staging,
            journal=places.journal,
            tell=self._teller.tell,
            state=self._enter,
        )

    async def _finish(self, result: CheckResult) -> None:
        self._floor, self._result = result.floor, result
        self._support = result.support or self._support
        self._failures = self._failures + 1 if result.outcome is Outcome.UNAVAILABLE else 0
        self._enter("held" if result.outcome is Outcome.HELD else "idle")
        self._keep(msgspec.structs.replace(self._progress, last_check=self.now()))
        if result.outcome not in (Outcome.HELD, Outcome.UNAVAILABLE):
            self._consent = ""
        if result.outcome is Outcome.NOTHING:
            self._teller.tell_running()
        await self.flush()
        if result.activation is not None:
            await self._activate(result)

    async def _activate(self, result: CheckResult) -> None:
        """Remember the attempt, then ask; a refusal is a refusal of the release."""
        if result.activation is None:
            return
        self._enter("installing")
        self._keep(begin_attempt(self._progress, result.attempt))
        reply = await self._around.supervisor(result.activation)
        if isinstance(reply, m.Refused):
            self._keep(msgspec.structs.replace(self._progress, attempt=None))
            self._enter("idle")
            self._teller.tell(
                Happening(
                    event="activation-refused",
                    detail=f"{reply.reason}: {reply.message}",
                    level="warning",
                    report=ReportKind.REFUSED,
                    version=result.activation.version,
                    manifest_sha256=result.activation.manifest_sha256,
                    reason=reply.reason,
                )
            )

    def _wait(self) -> float:
        update, result = self._device.product.update, self._result
        interval: Interval = choose_interval(
            owner_seconds=self._policy.interval_seconds,
            planned_seconds=result.planned_interval if result else None,
            product=(
                update.check_interval_seconds,
                update.check_interval_min_seconds,
                update.check_interval_max_seconds,
            ),
        )
        after, draw = result.retry_after if result else None, self._around.random
        return decide_wait(interval, failures=self._failures, retry_after=after, random=draw)

    # --- trials

    def _settle(self) -> None:
        after, settled = settle(self._progress, self._boot)
        if settled is not None:
            self._teller.tell(tell_settled(settled))
            if settled.confirmed:
                counter = settled.attempt.security_counter
                self._floor = raise_floor(self._floor, security_counter=counter)
                save_floor(self._device.places.floor, self._floor)
        if after != self._progress:
            self._keep(after)  # after the report is queued: a cut repeats it, never loses it

    async def _end_trial(self, verdict: Verdict) -> None:
        around = self._around
        request: m.Request = m.ConfirmTrial()
        if not verdict.passed:
            self._teller.warn("trial-failed", verdict.reason)
            request = m.RejectTrial(reason=verdict.reason[:1024])
        while True:
            try:
                await around.supervisor(request)
                break
            except Unavailable as error:  # boot's own deadline ends this
                self._teller.warn("trial-verdict-waits", str(error))
                await around.sleep(_RETRY_CONFIRM_SECONDS)
        if not verdict.passed:
            return
        self._boot = msgspec.structs.replace(
            self._boot, on_trial=False, version=self._device.description.version
        )
        self._enter("idle")
        self._settle()
        await self.flush()

    async def _probe(self) -> bool:
        """Whether this firmware reaches the vendor and believes its metadata."""
        places = self._device.places

        def look() -> Floor:
            offer = self._repository.look(
                self._floor, now=self.now(), keep=lambda floor: save_floor(places.floor, floor)
            )
            return offer.floor

        try:
            self._floor = await self._work(look)
        except LimpetError as error:
            self._teller.warn("trial-vendor", str(error))
            return False
        return True

    # --- small parts

    def _remember(self, key: str) -> None:
        reported = (*self._progress.reported, key)[-MAX_REPORTED:]
        self._keep(msgspec.structs.replace(self._progress, reported=reported))

    def _keep(self, progress: Progress) -> None:
        save_progress(self._device.places.progress, progress)
        self._progress = progress

    def _enter(self, state: State) -> None:
        self._state = state

    async def _work(self, task: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, task)
