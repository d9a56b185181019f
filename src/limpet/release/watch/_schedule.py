"""Looking again and again: when, and until when. The schedule is pure.

Owns the loop of `limpet release watch --every`. A failed look is told and made again; it never
ends the service.
"""

from collections.abc import Callable

from limpet.errors import LimpetError

from ._types import Looked

__all__ = ["JITTER", "RETRY_SECONDS", "next_wait", "watch"]

JITTER = 0.1
"""Share of the interval: vendors who all set it to a day do not fetch at the same second."""

RETRY_SECONDS = 900.0
"""After a look that could not be made; or the interval, where that is shorter."""


def next_wait(every_seconds: float, *, made: bool, share: float) -> float:
    """Seconds to the next look, never longer than the interval; `share` is random, in [0, 1)."""
    if not made:
        return min(RETRY_SECONDS, every_seconds) * (1 - JITTER * share)
    return every_seconds * (1 - JITTER * share)


def watch(
    look: Callable[[], Looked],
    *,
    every_seconds: float,
    wait: Callable[[float], bool],
    random: Callable[[], float],
    told: Callable[[Looked | LimpetError], None],
) -> None:
    """Look until `wait`, given seconds, says that it was told to stop."""
    while True:
        try:
            result: Looked | LimpetError = look()
        except LimpetError as error:
            result = error
        told(result)
        made = isinstance(result, Looked)
        if wait(next_wait(every_seconds, made=made, share=random())):
            return
