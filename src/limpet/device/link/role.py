"""The life of a role's process: links, readiness, stopping, and never a lost error.

Owns what is the same in every role. Knows no role's work: a role gives `serve`,
which registers handlers, confines itself, says `bus.ready(...)` and goes on (or
returns) until it is cancelled.

A role outlives neither its supervisor nor its orders: when the supervisor's link
ends, `serve` is cancelled and has `STOP_SECONDS` to put its outputs in order.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn

from limpet.device.link.bus import Bus
from limpet.device.link.launch import CANNOT_RUN, crash_line
from limpet.device.link.permits import Role
from limpet.device.link.start import Start, parse_start
from limpet.errors import Misuse, Rejected

__all__ = ["CANNOT_RUN", "STOP_SECONDS", "Bus", "Serve", "run_role"]

STOP_SECONDS = 2.0
"""How long `serve` may take to end after it was cancelled."""

Serve = Callable[[Start, Bus], Awaitable[None]]
"""A role's work."""


def run_role(role: Role, serve: Serve) -> NoReturn:
    """Run `serve` as the process of `role`, by the arguments of this process; never returns.

    Exit status 0 after `Stop` or the supervisor's end, `CANNOT_RUN` if the system cannot
    confine the role (another try would not help), 1 after any other error, which is then one
    line of JSON on stderr (the supervisor copies stderr to the device's log).
    """
    status = 1
    try:
        start = parse_start(sys.argv[1:])
        if start.role is not role:
            raise Misuse(f"the program of {role.value} was started as {start.role.value}")
        if start.parent and os.getppid() != start.parent:
            raise Misuse("the supervisor is gone")
        signal.signal(signal.SIGTERM, _end_soon)
        asyncio.run(_live(start, serve))
        status = 0
    except SystemExit:
        status = 0
    except Rejected as error:
        print(crash_line(error), file=sys.stderr, flush=True)
        status = CANNOT_RUN if error.reason == "not-confined" else 1
    except BaseException as error:
        print(crash_line(error), file=sys.stderr, flush=True)
    sys.stderr.flush()
    os._exit(status)  # worker threads must not hold the process


def _end_soon(number: int, frame: object) -> NoReturn:
    """SIGTERM: leave in order, and if that hangs, let the kernel end it."""
    del number, frame
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, STOP_SECONDS)
    raise SystemExit(0)


async def _live(start: Start, serve: Serve) -> None:
    bus = Bus(start)
    bus.open()
    work = asyncio.ensure_future(serve(start, bus))
    stopped = asyncio.ensure_future(bus.until_stopped())
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()  # raises what `serve` raised
            await stopped
    finally:
        work.cancel()
        stopped.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            async with asyncio.timeout(STOP_SECONDS):
                await asyncio.wait({work})
        await bus.close()
    if work.done() and not work.cancelled() and (error := work.exception()) is not None:
        raise error
