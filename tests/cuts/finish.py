"""Going on from a state to the end of the update, in one process: boot, updater and supervisor.

Owns the few lives that it takes. Boot's choice, the engine with python-tuf, the installation and
the supervisor's side of slots are the device's own code on the state's own files; the vendor is a
copy of its directory, and the product's health is that of the recorded releases.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from urllib.parse import unquote

from tests.cuts.judge import load_app, look, quiet_journal
from tests.cuts.life import BAD, GOOD, LAST
from tests.cuts.promises import Promises
from tests.cuts.recording import Recorded

from limpet.device.boot._choice import choose_slot
from limpet.device.link import messages as m
from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.device.supervisor._slots import SlotKeeper
from limpet.device.updater.device import load_device
from limpet.device.updater.engine import Engine
from limpet.device.updater.source import NotFound
from limpet.device.updater.surroundings import Surroundings
from limpet.errors import LimpetError, Rejected
from limpet.firmware.slots import SlotName
from limpet.storage import make_directory

__all__ = ["finish"]

LIVES = 8


def finish(root: Path, recorded: Recorded, promises: Promises) -> list[str]:
    """What is wrong after the update went on from here; empty: the newest release that works is
    confirmed, every setting is kept. A device that was offered a bad release must get over it."""
    problems = []
    wanted = [LAST] if promises.offered == BAD else []
    for offered in (promises.offered or GOOD, *wanted):
        try:
            version, told = _live(root, recorded.vendor(offered) / "public" / "repository", offered)
        except LimpetError as error:
            return [f"finish: {error.message}"]
        if version != (GOOD if offered == BAD else offered):
            problems.append(
                f"finish: {offered} was offered, {version} runs; {'; '.join(told[-3:])}"
            )
    return problems + [f"after the update, {one}" for one in look(root, promises)]


def _live(root: Path, repository: Path, offered: str) -> tuple[str, list[str]]:
    """Start again and again until nothing changes: the version that is good, and the log."""
    told: list[str] = []
    settled = 0
    for _ in range(LIVES):
        choice = choose_slot(root, quiet_journal(root)).choice
        life = _Life(root, repository, choice.slot, choice.record.version, told)
        if asyncio.run(life.run()):
            settled = 0
            continue
        settled += 1
        if choice.record.version == offered or settled == 2:
            return choice.record.version, told
    return "none for good", told


class _Life:
    """From a start of the updater to the next restart."""

    def __init__(
        self, root: Path, repository: Path, slot: SlotName, version: str, told: list[str]
    ) -> None:
        self._root, self._repository, self._slot = root, repository, slot
        self._version, self._told = version, told
        self._ticks = time.monotonic()
        self._restarts = False
        self._random = Random(slot)  # noqa: S311 - no secret
        self._keeper = SlotKeeper(Start(role=Role.SUPERVISOR, root=root, slot=slot))

    async def run(self) -> bool:
        """The roles start, a trial is judged, else one check is made; whether it restarts now."""
        start = Start(role=Role.UPDATER, root=self._root, slot=self._slot)
        self._keeper.settle_state()
        load_app(self._root)
        make_directory(start.private)
        make_directory(start.staging)
        engine = Engine(load_device(start), self._surroundings())
        try:
            await engine.start()
            if self._keeper.is_on_trial():
                await engine.judge_trial()
            else:
                await engine.check()
            return self._restarts
        finally:
            engine.close()

    def get(self, path: str, *, max_bytes: int) -> bytes:
        """As the updater's `Source`."""
        try:
            data = (self._repository / unquote(path)).read_bytes()
        except OSError as error:
            raise NotFound(f"no {path}", 404) from error
        if len(data) > max_bytes:
            raise Rejected("too-large", path)
        return data

    @contextmanager
    def stream(
        self, path: str, offset: int, end: int, *, wait: Callable[[], float]
    ) -> Iterator[Iterator[bytes]]:
        """As the updater's `Source`."""
        del wait
        yield iter([self.get(path, max_bytes=1 << 30)[offset:end]])

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            source=self,
            delivery=lambda: None,
            supervisor=self._supervise,
            health=self._health,
            log=lambda event, detail, level: self._told.append(f"{event}: {detail}"),
            wall=lambda: datetime.now(UTC),
            monotonic=lambda: self._ticks,
            sleep=self._sleep,
            random=self._random.random,
            pause=lambda seconds: None,
        )

    async def _supervise(self, request: m.Request) -> m.Reply:
        try:
            match request:
                case m.ReadBootRecord():
                    return self._keeper.read()
                case m.Activate():
                    self._keeper.activate(request)
                    self._restarts = True
                case m.ConfirmTrial():
                    self._keeper.confirm()
                    self._restarts = True  # the last life settles the attempt and looks again
                case m.RejectTrial():
                    self._keeper.reject(request.reason)
                    self._restarts = True
        except LimpetError as error:
            return m.Refused(reason=getattr(error, "reason", "unavailable"), message=error.message)
        return m.Done()

    async def _health(self) -> m.Reply:
        return m.Health(healthy=self._version != BAD, reason="too hot to be true")

    async def _sleep(self, seconds: float) -> None:
        self._ticks += seconds
        await asyncio.sleep(0)
