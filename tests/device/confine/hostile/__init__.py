"""Hostile code for the inside of a running role: it waits for orders, attacks, and reports.

The test copies this package into the runtime of its own device's slot, where it takes the place of
the functions that confine (`taken`); nothing that limpet ships knows of it. The orders come,
and the report goes, through files that were open before: a confined process needs no further
right for them. The same attacks run unconfined by `main`, which is
the control: there the kernel must get past the question of permission.
"""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .calls import Attacks, outcome
from .itself import attacks_on_itself
from .others import Orders, attacks_on_others

__all__ = ["main", "taken"]

POLL_SECONDS, ORDER_BYTES = 0.25, 64 << 10


def taken(*originals: Callable[..., Any]) -> tuple[Callable[..., Any], ...]:
    """The functions that confine, each of which first lets the attacker in."""
    names = (None, "app-guard", "app-dialer")
    return tuple(map(_taken, originals, names))


def _taken(original: Callable[..., Any], name: str | None) -> Callable[..., Any]:
    def confine(*arguments: Any, **options: Any) -> Any:
        start = next(one for one in arguments if hasattr(one, "private"))
        _wait_for_orders(start.private, name or start.role.value)
        return original(*arguments, **options)

    return confine


def _wait_for_orders(place: Path, name: str) -> None:
    """Look for orders in every interval of a timer: whatever the process then does, it is the
    running role that attacks. The files are in the role's own directory: it sees no other."""
    if not (place / "orders").exists():  # in the factory
        return
    "a.example".encode("idna")  # the codec is a library: nothing is loaded any more later on
    orders = os.open(place / "orders", os.O_RDONLY)
    report = os.open(place / f"report-{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    answered: list[bool] = []

    def look(number: int, frame: object) -> None:
        del number, frame
        os.lseek(orders, 0, os.SEEK_SET)
        if answered or not (text := os.read(orders, ORDER_BYTES)):
            return
        answered.append(True)
        found = {title: outcome(work) for title, work in attacks(json.loads(text), name).items()}
        os.write(report, json.dumps(found).encode())

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, POLL_SECONDS, POLL_SECONDS)


def attacks(orders: Orders, name: str) -> Attacks:
    """Everything that is tried in the process `name`, by its title."""
    return {**attacks_on_itself(), **attacks_on_others(orders, name)}


def main(orders: str, title: str) -> None:
    """The control: one attack of a process that nothing confines."""
    print(outcome(attacks(json.loads(Path(orders).read_text()), "free")[title]), flush=True)
