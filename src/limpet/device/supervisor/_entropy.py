"""Randomness over one run: what is mixed in before the first role starts, and from then on.

Owns the order: the last run's seed, the tested hardware source (a silent one keeps nobody
waiting), the kernel's readiness, the next seed; then the roles may draw. Tells of a source
that fails, and goes on without it; a device that is being made with one is not made
(`verify_factory_source`).
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from limpet.crypto.randomness import wait_until_ready
from limpet.device.link.entropy import RandomnessReport
from limpet.device.link.start import Start
from limpet.device.supervisor._noise import HARDWARE, NoiseSource
from limpet.device.supervisor._seed import renew_seed, take_seed
from limpet.errors import LimpetError, Rejected

__all__ = ["Entropy", "verify_factory_source"]

TEST_SECONDS = 60.0
"""Between two windows of the continuous test."""

PATIENCE_SECONDS = 0.5
"""How long a start waits for the source; a sound one takes a tenth of it. The rest comes later."""

SEED_SECONDS = 86_400.0
"""Between two seeds: a device that is only ever unplugged keeps a day-old one at worst."""


class _Log(Protocol):
    def __call__(self, event: str, detail: str, *, level: str = "info") -> None:
        """One entry of the device's log."""


class Entropy:
    """The sources of one run. `changed` is called when the report changed."""

    def __init__(self, start: Start, log: _Log, changed: Callable[[], None]) -> None:
        given = start.options.get("noise-source", ())
        self._root, self._log, self._changed = start.root, log, changed
        self._source = NoiseSource(Path(given[0]) if given else HARDWARE)
        self._patience = None if start.factory else PATIENCE_SECONDS
        self._beginning: asyncio.Task[None] | None = None

    @property
    def report(self) -> RandomnessReport:
        """How the sources stand now."""
        return self._source.report

    async def prepare(self) -> None:
        """Before anybody draws. Raises `Unavailable` if the kernel's generator is not ready.

        Only a device that is being made waits for the source's verdict, however long it takes.
        """
        self._attempt(lambda: take_seed(self._root))
        self._beginning = asyncio.ensure_future(self._begin())
        await asyncio.wait({self._beginning}, timeout=self._patience)
        await asyncio.to_thread(wait_until_ready)
        self.keep_seed()

    async def _begin(self) -> None:
        await self._source.begin()
        self._changed()
        self._tell()

    async def run(self) -> None:
        """Test, mix and keep the seed fresh until cancelled."""
        if self._beginning is not None:
            await self._beginning
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while True:
            await asyncio.sleep(TEST_SECONDS)
            before = self.report.source
            await self._source.go_on()
            self._changed()
            if self.report.source != before:
                self._tell()
            if loop.time() - renewed >= SEED_SECONDS:
                self.keep_seed()
                renewed = loop.time()

    def keep_seed(self) -> None:
        """Leave a fresh seed for the next start; a full disk costs the seed, never the device."""
        self._attempt(lambda: renew_seed(self._root))

    def _tell(self) -> None:
        if self.report.source == "failing":
            self._log("noise-source-failing", self.report.detail, level="error")
        else:
            self._log("noise-source", f"{self.report.source}: {self.report.detail}")

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except LimpetError as error:
            self._log("seed-not-kept", str(error), level="warning")


def verify_factory_source(report: RandomnessReport) -> None:
    """Refuse to make a device whose generator fails: its permanent key is made but once.

    Raises `Rejected("noise-failing")`.
    """
    if report.source == "failing":
        raise Rejected(
            "noise-failing",
            f"the hardware noise source failed its test: {report.detail}",
            hint="repair or remove the generator; a device is not made beside a broken one",
        )
