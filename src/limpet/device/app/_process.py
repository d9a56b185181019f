"""The app's process: loads the product, confines itself, serves the link, ends safely.

Owns the order of start and end. Start: start the dialer, cut the network off, load the
package, let the product open what it needs, start the guard of its outputs, confine, run every
loop once, become ready. End, for whatever reason: stop hooks, then the guard.
It opens no socket, and it never lets a product's exception end the process: only
a hang does, because a thread cannot be ended otherwise, and used-up memory.
"""

import asyncio
import functools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from limpet.device.app import _cutting
from limpet.device.app._context import Clock, Device, Log, SystemClock
from limpet.device.app._declarations import Declaration, Function
from limpet.device.app._dialer import Dialer
from limpet.device.app._guard import Guard
from limpet.device.app._instance import Instance
from limpet.device.app._loading import load_app
from limpet.device.app._notices import Notices
from limpet.device.app._outbound import Outbound, endpoints_of
from limpet.device.app._proof import find_faults
from limpet.device.app._worker import Worker
from limpet.device.confine import (
    confine,
    confine_to_open_files,
    confine_to_ports,
    return_memory,
)
from limpet.device.link import messages as m
from limpet.device.link import spare
from limpet.device.link.role import Bus
from limpet.device.link.start import Start
from limpet.errors import Rejected, Unavailable
from limpet.product import PRODUCT_FILE, HealthCheck, load_product
from limpet.storage import make_directory

__all__ = ["CALL_SECONDS", "HUNG_SECONDS", "Program", "serve"]

CALL_SECONDS = 5.0
"""How long a caller waits for one of the product's functions."""

HUNG_SECONDS = 15.0
"""How long one piece of the product's code may run before the process gives itself up."""

START_SECONDS = 15.0
STOP_SECONDS = 1.0
HOOK_SECONDS = 0.5
WATCH_SECONDS = 0.5
IDLE_SECONDS = 60.0
BUSY_SECONDS = 0.1
REASON_CHARACTERS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A running product behind its worker: answers the link's requests, turns the loops."""

    instance: Instance[Any]
    notices: Notices
    worker: Worker
    clock: Clock
    declarations: tuple[Declaration, ...]
    functions: Mapping[str, Function] = field(default_factory=dict)
    check: HealthCheck = field(default_factory=HealthCheck)
    call_seconds: float = CALL_SECONDS
    hung_seconds: float = HUNG_SECONDS

    async def describe(self, request: m.DescribeFunctions) -> m.Reply:
        """The declarations as a JSON array."""
        del request
        return m.Functions(json=msgspec.json.encode(self.declarations))

    async def call(self, request: m.CallFunction) -> m.Reply:
        """One function, at most `call_seconds` long."""
        work = functools.partial(
            self.instance.call, request.name, request.access, request.arguments
        )
        try:
            return m.Answer(json=await self.worker.run(work, seconds=self.call_seconds))
        except Rejected as error:
            return m.Refused(reason=error.reason, message=error.message)

    async def list_notices(self, request: m.ListNotices) -> m.Reply:
        """What the product told its owner; answered even while the product's code hangs."""
        del request
        return m.Notices(notices=self.notices.list())

    async def acknowledge(self, request: m.AcknowledgeNotice) -> m.Reply:
        """The owner's tick; beside the loop, because it waits for the disk."""
        try:
            await asyncio.to_thread(self.notices.acknowledge, request.id)
        except Rejected as error:
            return m.Refused(reason=error.reason, message=error.message)
        return m.Done()

    async def check_health(self, request: m.CheckHealth) -> m.Reply:
        """The product's health by the clauses of its design file; silence is a fault."""
        del request
        faults = await find_faults(
            self.check, self.instance, self.functions, self.worker, call_seconds=self.call_seconds
        )
        return m.Health(healthy=not faults, reason="; ".join(faults)[:REASON_CHARACTERS])

    async def run(self) -> None:
        """Turn the loops until cancelled. Raises `Unavailable` if the product's code hangs."""
        watch = asyncio.ensure_future(self._watch())
        loops = asyncio.ensure_future(self._loops())
        try:
            done, _ = await asyncio.wait({watch, loops}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            watch.cancel()
            loops.cancel()

    async def end(self) -> None:
        """Run the stop hooks: in the product's thread, or beside it if that one hangs."""
        try:
            await self.worker.run(self.instance.stop, seconds=STOP_SECONDS)
        except Rejected:
            thread = threading.Thread(target=self.instance.stop, daemon=True)
            thread.start()
            thread.join(HOOK_SECONDS)

    async def _loops(self) -> None:
        while True:
            due = self.instance.next_due()
            now = self.clock.monotonic()
            await asyncio.sleep(min(IDLE_SECONDS, max(0.0, due - now) if due else IDLE_SECONDS))
            try:
                await self.worker.run(self.instance.run_due, seconds=None)
            except Rejected:  # the queue is full of calls; the turn comes after them
                await asyncio.sleep(BUSY_SECONDS)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self.worker.is_exhausted:
                raise Unavailable(
                    "the product's code used up its memory", hint="the app is started again"
                )
            busy = self.worker.busy_seconds()
            if busy > self.hung_seconds:
                raise Unavailable(
                    f"the product's code has been hanging for {busy:.0f} s",
                    hint="the app is started again",
                )


async def serve(
    start: Start,
    bus: Bus,
    *,
    call_seconds: float = CALL_SECONDS,
    hung_seconds: float = HUNG_SECONDS,
) -> None:
    """The app's work (see `limpet.device.link.role.Serve`)."""
    log = _logger(asyncio.get_running_loop(), bus)
    spare.allow("ssl")  # for the product's code, and where it has a way out
    guard = Guard()
    product = load_product(start.slot_path / PRODUCT_FILE)
    ways_out = endpoints_of(product) if start.remote_functions else ()
    dialer = Dialer(ways_out, resolve=start.resolve)
    roots = start.slot_path / "trust" / "service-root.pem"
    outbound = Outbound(dialer, roots, is_over=not start.remote_functions)
    device = _device(make_directory(start.private), log, guard, outbound)
    return_memory()  # what is shared with this process is then never written again
    dialer.start(functools.partial(confine_to_ports, start, dialer.ports))  # it alone may connect
    packages = (start.slot_path / "app").resolve()
    refused = functools.partial(bus.log, _cutting.EVENT, level="error")
    with _cutting.network_cut_off(packages, refused):
        app = load_app(start.slot_path, product)
        instance = Instance(app, device)
    program = Program(
        instance=instance,
        notices=device.notices,
        worker=Worker(),
        clock=device.clock,
        declarations=app.declarations(),
        functions=app.functions,
        check=product.update.health,
        call_seconds=call_seconds,
        hung_seconds=hung_seconds,
    )
    try:
        return_memory()
        guard.start(functools.partial(confine_to_open_files, start))  # while there is one thread
        confinement = confine(start.role, start)  # before the worker's thread, which inherits it
        _register(bus, program)
        await program.worker.run(program.instance.run_due, seconds=START_SECONDS)
        await bus.ready(confinement)
        await program.run()
    finally:
        await program.end()
        guard.stop()


def _register(bus: Bus, program: Program) -> None:
    bus.on(m.DescribeFunctions, program.describe)
    bus.on(m.CallFunction, program.call)
    bus.on(m.ListNotices, program.list_notices)
    bus.on(m.AcknowledgeNotice, program.acknowledge)
    bus.on(m.CheckHealth, program.check_health)


def _device(data: Path, log: Log, guard: Guard, outbound: Outbound) -> Device:
    clock = SystemClock()
    notices = Notices(data, clock=clock.now)
    if notices.damage:
        log("notices-damaged", notices.damage, "error")
    return Device(clock=clock, data=data, log=log, guard=guard, notices=notices, outbound=outbound)


def _logger(loop: asyncio.AbstractEventLoop, bus: Bus) -> Log:
    """A log that may be used from the product's thread."""

    def log(event: str, detail: str, level: str) -> None:
        entry: Callable[[], None] = functools.partial(
            bus.log, event, detail, level=cast(Literal["info", "warning", "error"], level)
        )
        loop.call_soon_threadsafe(entry)

    return log
