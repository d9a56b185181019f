"""One performance of the demo: the scenes on their stage, and the record of what was seen."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from limpet.demo.scenes import SCENES
from limpet.demo.stage import Stage
from limpet.demo.story import Outcome, play
from limpet.demo.view import Screen, print_verdicts
from limpet.demo.world import World, keep_history, prepare_product
from limpet.storage import write_atomic

__all__ = ["Performance", "perform"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What was shown."""

    outcomes: tuple[Outcome, ...]
    planned: int
    seconds: float
    report: Any  # the audit's, or None if the story did not come so far

    @property
    def ok(self) -> bool:
        """Whether every scene showed what it promised."""
        return len(self.outcomes) == self.planned and all(o.ok for o in self.outcomes)

    def write(self, path: Path) -> None:
        """Every step and every verdict as JSON."""
        record = {
            "ok": self.ok,
            "seconds": self.seconds,
            "scenes": self.outcomes,
            "audit": self.report,
        }
        packed = msgspec.json.format(msgspec.json.encode(record), indent=1)
        write_atomic(path.absolute(), packed + b"\n", mode=0o644)


def perform(console: Console, *, source: Path, directory: Path, devices: int) -> Performance:
    """Play every scene in `directory`. On return, or when interrupted, no process is left."""
    began = time.monotonic()
    screen = Screen(console)
    screen.open(len(SCENES), directory)
    listener: list[Callable[[str], None]] = []
    with Stage(directory, show_command=lambda line: listener[-1](line)) as stage:
        product = prepare_product(source, directory / "product", devices=devices)
        keep_history(product)
        world = World(stage=stage, console=console, product=product, source=source, count=devices)
        outcomes = play(SCENES, world, screen, listener.append)
        if world.line is not None:
            world.line.close()
        if world.report is not None:
            print_verdicts(console, world.report)
        performance = Performance(
            outcomes=tuple(outcomes),
            planned=len(SCENES),
            seconds=round(time.monotonic() - began, 3),
            report=world.report,
        )
    screen.close(performance.ok, len(outcomes), performance.seconds)
    return performance
