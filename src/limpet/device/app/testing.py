"""Runs a product's app in a test: the real dispatch, loops and files, on a fake clock.

Owns the simulator. It starts no process and no thread, so that a week of the
product's life takes a second and every run is the same.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from limpet.device.app._app import App
from limpet.device.app._context import Device
from limpet.device.app._guard import Guard
from limpet.device.app._instance import Instance
from limpet.device.app._notices import Notices
from limpet.device.link.messages import Access

__all__ = ["FakeClock", "Simulator"]

P = TypeVar("P")
START = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday


@dataclass(slots=True)
class FakeClock:
    """A clock that a test moves."""

    time: datetime = START
    seconds: float = 0.0

    def monotonic(self) -> float:
        """Seconds since the test began."""
        return self.seconds

    def now(self) -> datetime:
        """UTC."""
        return self.time

    def advance(self, seconds: float) -> None:
        """Both clocks go on by `seconds`."""
        self.seconds += seconds
        self.time += timedelta(seconds=seconds)

    def set_time(self, time: datetime) -> None:
        """The time of day jumps, as when a device learns the time; the monotonic clock does not."""
        self.time = time


@dataclass(slots=True)
class Simulator(Generic[P]):
    """A product under test. `directory` is its data directory, kept over `restart`.

    Example:
        simulator = Simulator(app, tmp_path)
        simulator.advance(3600)
        assert simulator.call("temperature") > 18
    """

    app: App[P]
    directory: Path
    clock: FakeClock = field(default_factory=FakeClock)
    log: list[tuple[str, str, str]] = field(default_factory=list)
    guard: Guard = field(init=False)
    instance: Instance[P] = field(init=False)
    notices: Notices = field(init=False)

    def __post_init__(self) -> None:
        self._start()

    @property
    def product(self) -> P:
        """The product's own object."""
        return self.instance.product

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass; every loop takes its turns at its times."""
        end = self.clock.seconds + seconds
        while (due := self.instance.next_due()) is not None and due <= end:
            self.clock.advance(max(0.0, due - self.clock.seconds))
            self.instance.run_due()
        self.clock.advance(end - self.clock.seconds)

    def call(self, name: str, /, access: Access = Access.OWNER, **arguments: Any) -> Any:
        """The result of a function, as plain JSON values. Raises what a caller would get."""
        encoded = self.instance.call(name, access, msgspec.json.encode(arguments))
        return msgspec.json.decode(encoded)

    def health(self) -> tuple[bool, str]:
        """Whether the product works, and why not."""
        return self.instance.health()

    def restart(self, *, after_crash: bool = False) -> None:
        """Start again on the same files; after a crash the stop hooks did not run."""
        if not after_crash:
            self.instance.stop()
        self._start()

    def _start(self) -> None:
        self.guard = Guard()
        device = Device(
            clock=self.clock,
            data=self.directory,
            log=self._log,
            guard=self.guard,
            notices=Notices(self.directory, clock=self.clock.now),
        )
        self.notices = device.notices
        self.instance = Instance(self.app, device)

    def _log(self, event: str, detail: str, level: str) -> None:
        self.log.append((event, detail, level))
