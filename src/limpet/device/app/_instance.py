"""One running product: dispatch of calls, turns of loops, health, the end.

Owns what happens between the link and the product's own code. Synchronous and
without a clock of its own, so that the process and the tests run the same thing.
It lets no exception of the product through but as a `Rejected` with a reason, and
`MemoryError`: what a product hoards stays hoarded, so only a new process helps.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from limpet.device.app._app import App, Loop
from limpet.device.app._context import Device
from limpet.device.app._declarations import Function, Kind
from limpet.device.app._health import (
    LoopStatus,
    Unhealthy,
    after_failure,
    after_success,
    decide_health,
)
from limpet.device.link.messages import Access
from limpet.errors import Misuse, Rejected

__all__ = ["Instance"]

RESULT_BYTES = 192 << 10
REASON_CHARACTERS = 200

P = TypeVar("P")


class Instance(Generic[P]):
    """The product that `app.start(device)` made. Not safe for several threads at once."""

    def __init__(self, app: App[P], device: Device) -> None:
        self._app, self._device = app, device
        self.product = app.start(device)
        now = device.clock.monotonic()
        self._turns = {loop.name: loop for loop in app.loops}
        self._loops = {
            loop.name: LoopStatus(name=loop.name, every=loop.every, due=now) for loop in app.loops
        }
        self._stopped = False

    def call(self, name: str, access: Access, arguments: bytes) -> bytes:
        """The result of function `name` as JSON, for a caller of level `access`.

        Raises `Rejected` with `unknown-function`, `forbidden`, `bad-arguments` (the message names
        the field), `app-error`, or the reason that the product itself gave.
        """
        function = self._app.functions.get(name)
        if function is None:
            raise Rejected("unknown-function", "this product has no such function")
        # The gateway checked it too; a taken gateway still cannot claim an undeclared level.
        if access < function.access:
            raise Rejected("forbidden", f"needs the access level {function.access.name.lower()}")
        parsed = _parse_arguments(function, arguments)
        try:
            result = function.implementation(self.product, **parsed)
            encoded = msgspec.json.encode(result)
        except Rejected:
            raise
        except Exception as error:
            _raise_if_exhausted(error)
            self._device.log("app-error", f"{name}: {_describe(error)}", "error")
            raise Rejected("app-error", f"{name} failed; the device's log says why") from error
        if len(encoded) > RESULT_BYTES:
            self._device.log("app-error", f"{name}: result of {len(encoded)} bytes", "error")
            raise Rejected("app-error", f"the result of {name} is too large")
        return encoded

    def next_due(self) -> float | None:
        """When a loop is due next, in seconds of the monotonic clock; None without loops."""
        return min((status.due for status in self._loops.values()), default=None)

    def run_due(self) -> None:
        """Take the turn of every loop that is due."""
        now = self._device.clock.monotonic()
        for name in [name for name, status in self._loops.items() if status.due <= now]:
            self._take_turn(self._turns[name])

    def health(self) -> tuple[bool, str]:
        """Whether the product works, and why not; a check that breaks is a fault."""
        faults = [fault for fault in map(self._fault, self._app.health_checks) if fault]
        now = self._device.clock.monotonic()
        healthy, reason = decide_health(self._loops.values(), faults, now)
        return healthy, reason[: REASON_CHARACTERS * 4]

    def stop(self) -> None:
        """Run every stop hook, once; one that fails does not keep the others from running."""
        if self._stopped:
            return
        self._stopped = True
        for hook in self._app.stop_hooks:
            try:
                hook(self.product)
            except Exception as error:
                self._device.log("app-stop-failed", _describe(error), "error")

    def _take_turn(self, loop: Loop[P]) -> None:
        before = self._loops[loop.name]
        try:
            loop.turn(self.product)
        except Exception as error:
            _raise_if_exhausted(error)
            detail = _describe(error)
            now = self._device.clock.monotonic()
            self._loops[loop.name] = after_failure(before, now, detail)
            if before.error != detail:  # a loop that keeps failing says so once
                self._device.log("app-loop-failed", f"{loop.name}: {detail}", "error")
        else:
            self._loops[loop.name] = after_success(before, self._device.clock.monotonic())
            if before.failures:
                self._device.log("app-loop-recovered", loop.name, "info")

    def _fault(self, check: Callable[[P], None]) -> str:
        try:
            check(self.product)
        except Unhealthy as verdict:
            return verdict.reason
        except Exception as error:
            _raise_if_exhausted(error)
            return f"health check {check.__name__} broke: {_describe(error)}"
        return ""


def _parse_arguments(function: Function, arguments: bytes) -> dict[str, Any]:
    # A reading's arguments may come from a query string, where a number is text.
    strict = function.kind is Kind.ACTION
    try:
        struct = msgspec.json.decode(arguments or b"{}", type=function.arguments, strict=strict)
    except msgspec.ValidationError as error:
        raise Rejected("bad-arguments", _field_first(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("bad-arguments", f"the arguments are not JSON: {error}") from error
    except TypeError as error:  # msgspec cannot decode the declared type
        raise Misuse(f"{function.name}: {error}") from error
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def _field_first(message: str) -> str:
    """msgspec's "Expected `float` <= 30.0 - at `$.celsius`" as "celsius: expected …"."""
    text, found, place = message.partition(" - at `$.")
    text = f"{text[:1].lower()}{text[1:]}"
    return f"{place.rstrip('`')}: {text}" if found else text


def _raise_if_exhausted(error: Exception) -> None:
    """Raise `MemoryError` if the process has no room left, for objects or for a thread's stack."""
    if isinstance(error, MemoryError) or str(error) == "can't start new thread":
        raise MemoryError from error


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:REASON_CHARACTERS]
