"""`App`: where a product says what it is made of.

Owns the declarations of one product, collected when its package is imported.
It runs nothing: `Instance` runs, in the process or in a test.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from limpet.device.app._context import Device
from limpet.device.app._declarations import Declaration, Function, Kind, declare, make_function
from limpet.device.link.messages import Access
from limpet.errors import Misuse

__all__ = ["App", "Loop"]

P = TypeVar("P")
F = TypeVar("F", bound=Callable[..., Any])
MAX_FUNCTIONS = 64
MAX_LOOPS = 16


@dataclass(frozen=True, slots=True)
class Loop(Generic[P]):
    """Something done again and again, `every` seconds."""

    name: str
    every: float
    turn: Callable[[P], None]


class App(Generic[P]):
    """A product's function. `start` makes the product's own object from its `Device`.

    Everything declared gets that object as first argument. All of a product's code runs in one
    thread, one call at a time: it needs no locks. An exception that is not `Rejected` is
    answered as `app-error`, and logged.
    """

    def __init__(self, start: Callable[[Device], P]) -> None:
        self.start = start
        self.functions: dict[str, Function] = {}
        self.loops: list[Loop[P]] = []
        self.health_checks: list[Callable[[P], None]] = []
        self.stop_hooks: list[Callable[[P], None]] = []

    def reading(
        self, *, summary: str, access: Access = Access.VIEWER, unit: str = ""
    ) -> Callable[[F], F]:
        """Declare a function that changes nothing. `unit` is that of the result, if it has one."""
        return self._declare(Kind.READING, summary, access, unit)

    def action(self, *, summary: str, access: Access = Access.MEMBER) -> Callable[[F], F]:
        """Declare a function that changes something."""
        return self._declare(Kind.ACTION, summary, access, "")

    def loop(self, *, every: float) -> Callable[[Callable[[P], None]], Callable[[P], None]]:
        """Declare a function of the product alone that runs every `every` seconds.

        If it raises, it runs again after a growing wait, and the app is unhealthy meanwhile.
        """

        def register(turn: Callable[[P], None]) -> Callable[[P], None]:
            if every <= 0 or len(self.loops) >= MAX_LOOPS:
                raise Misuse(f"{turn.__name__}: a period above 0 s, and at most {MAX_LOOPS} loops")
            self.loops.append(Loop(turn.__name__, every, turn))
            return turn

        return register

    def health(self, check: Callable[[P], None]) -> Callable[[P], None]:
        """Declare a health check: it raises `Unhealthy` if the product does not do its work."""
        self.health_checks.append(check)
        return check

    def on_stop(self, hook: Callable[[P], None]) -> Callable[[P], None]:
        """Declare what makes the product safe; runs once at the end, also after a hang."""
        self.stop_hooks.append(hook)
        return hook

    def declarations(self) -> tuple[Declaration, ...]:
        """All functions, by name."""
        return tuple(declare(self.functions[name]) for name in sorted(self.functions))

    def _declare(self, kind: Kind, summary: str, access: Access, unit: str) -> Callable[[F], F]:
        # Nothing of a product answers to nobody: what is public is the gateway's list alone.
        if access is Access.PUBLIC:
            raise Misuse("a product's function needs an access level above public")

        def register(implementation: F) -> F:
            made = make_function(
                implementation, kind=kind, access=access, summary=summary, unit=unit
            )
            if made.name in self.functions or len(self.functions) >= MAX_FUNCTIONS:
                raise Misuse(f"{made.name}: declared twice, or more than {MAX_FUNCTIONS} functions")
            self.functions[made.name] = made
            return implementation

        return register
