"""Scenes in order: each does something, proves it with facts, or misses and ends the story."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from limpet.errors import LimpetError

__all__ = ["Audience", "Outcome", "Scene", "play"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one scene showed."""

    title: str
    ok: bool
    seconds: float
    facts: tuple[str, ...]
    commands: tuple[str, ...] = ()
    error: str = ""


class Audience(Protocol):
    """Whoever is told the story as it happens."""

    def begin(self, number: int, title: str) -> None:
        """A scene begins."""

    def command(self, line: str) -> None:
        """A command is given."""

    def fact(self, text: str) -> None:
        """Something was done and seen."""

    def end(self, outcome: Outcome) -> None:
        """A scene is over."""


Teller = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Scene:
    """A title, and the function that plays it and tells each fact that it saw."""

    title: str
    act: Callable[[Any, Teller], None]


@dataclass(slots=True)
class _Notes:
    facts: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


def play(
    scenes: Sequence[Scene], world: Any, audience: Audience, notes_of: Callable[[Teller], None]
) -> list[Outcome]:
    """Play `scenes` until one misses; the outcomes of those that were played.

    `notes_of` is given a function to call with each command that the stage runs. Only a
    `LimpetError` counts as missed; anything else is a bug of ours and is raised.
    """
    outcomes = []
    for number, scene in enumerate(scenes, 1):
        notes = _Notes()

        def tell(text: str, notes: _Notes = notes) -> None:
            notes.facts.append(text)
            audience.fact(text)

        def command(line: str, notes: _Notes = notes) -> None:
            notes.commands.append(line)
            audience.command(line)

        notes_of(command)
        audience.begin(number, scene.title)
        began = time.monotonic()
        error = ""
        try:
            scene.act(world, tell)
        except LimpetError as missed:
            error = str(missed)
        outcome = Outcome(
            title=scene.title,
            ok=not error,
            seconds=round(time.monotonic() - began, 3),
            facts=tuple(notes.facts),
            commands=tuple(notes.commands),
            error=error,
        )
        audience.end(outcome)
        outcomes.append(outcome)
        if error:
            break
    return outcomes
