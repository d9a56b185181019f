"""The start of the accounts role: load, confine, serve, finish what power cut off.

Owns the order of the start. Damaged records lock the accounts, with one line: nobody
gets in, and the product goes on with its work.
"""

import asyncio
import contextlib
import functools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from limpet.crypto.randomness import wait_until_ready
from limpet.device.accounts.clock import GuardedClock
from limpet.device.accounts.countdown import TICK_SECONDS
from limpet.device.accounts.events import SecurityLog
from limpet.device.accounts.guard import Guard
from limpet.device.accounts.locked import serve_locked
from limpet.device.accounts.rest import IDLE_SECONDS, is_needed, keep_clock, take_clock
from limpet.device.accounts.service import AccountsService
from limpet.device.accounts.store import Store
from limpet.device.accounts.worker import HashWorker
from limpet.device.confine import confine
from limpet.device.link import messages as m
from limpet.device.link.bus import Bus
from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.firmware.description import load_description
from limpet.product import PRODUCT_FILE, Ownership, Product, load_product
from limpet.storage import make_directory

__all__ = ["build_service", "serve"]

ANSWER_FIRST_SECONDS = 0.5
"""A factory reset restarts the device; its answer goes out before."""

ERASE_TRIES = 5


async def serve(start: Start, bus: Bus) -> None:
    """Run the role until it is stopped."""
    wait_until_ready()
    eraser = _Eraser(bus)
    try:
        service = build_service(start, bus=bus, erase=eraser.begin)
    except (Rejected, Unavailable) as error:
        if start.factory:
            raise
        await serve_locked(start, bus, error)
        return
    eraser.service = service
    for kind, handler in service.handlers().items():
        bus.on(kind, handler)
    await bus.ready(confine(Role.ACCOUNTS, start))
    if service.store.records.erase_pending:
        eraser.begin()
    ticking = asyncio.ensure_future(_tick(service, bus))
    try:
        if start.factory:
            await bus.until_stopped()
        else:
            wake = functools.partial(_may_rest, service, start.private)
            await bus.rest_when_idle(wake, seconds=IDLE_SECONDS)
    finally:
        ticking.cancel()


def _may_rest(service: AccountsService, directory: Path) -> float | None:
    """For how long this process may end, with its clock left to the next; None if it is needed."""
    if is_needed(service):
        return None
    try:
        keep_clock(directory, reading=service.guard.reading, at=time.monotonic())
    except LimpetError:
        return None  # no room: stay
    return m.MAX_REST_SECONDS


async def _tick(service: AccountsService, bus: Bus) -> None:
    """Count running time; what could not be made durable is counted again with the next."""
    counted = time.monotonic()
    while True:
        await asyncio.sleep(TICK_SECONDS)
        now = time.monotonic()
        try:
            service.ownership.tick(now - counted)
            counted = now
        except LimpetError as error:
            bus.log("tick-failed", str(error), level="warning")


def build_service(start: Start, *, bus: Bus | None, erase: Callable[[], None]) -> AccountsService:
    """The service on the records below the role's directory.

    Raises `Rejected("damaged-accounts")` or `Unavailable` for records that cannot be read.
    """
    directory = make_directory(start.private)
    store = Store.load(directory, fresh=start.factory)
    log = SecurityLog(directory, lambda: datetime.now(UTC))
    records = store.records
    worker = HashWorker()
    rested = take_clock(directory, least=records.throttle.time, monotonic=time.monotonic)

    def notice(event: str, detail: str) -> None:
        with contextlib.suppress(Unavailable):
            log.append(event, detail)
        if bus is not None:
            bus.log(event, detail, level="warning")

    guard = Guard(
        store,
        clock=rested
        or GuardedClock.resume(
            stored=records.throttle.time,
            stored_wall=records.throttle_wall,
            wall=time.time(),
            monotonic=time.monotonic,
        ),
        wall=time.time,
        worker=worker,
        notice=notice,
    )
    product = _product(start)
    ownership = product.ownership if product else Ownership()
    serial = _serial(start.root / "identity.json")
    return AccountsService(
        store=store,
        guard=guard,
        worker=worker,
        log=log,
        wall=time.time,
        words=_words(product, serial),
        erase=erase,
        button=ownership.button,
        takeover_seconds=ownership.takeover_wait_hours * 3600.0,
        built_at=_built_at(start),
        device=f"{product.model.display_name} {serial}" if product else serial,
    )


class _Eraser:
    """Has the supervisor erase the owner's data, and remembers when that is done."""

    def __init__(self, bus: Bus) -> None:
        self.service: AccountsService | None = None
        self._bus = bus
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start erasing, unless it is under way; returns at once."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._erase())

    async def _erase(self) -> None:
        for attempt in range(ERASE_TRIES):
            await asyncio.sleep(ANSWER_FIRST_SECONDS * (attempt + 1))
            with contextlib.suppress(LimpetError):
                reply = await self._bus.call(Role.SUPERVISOR, m.EraseData())
                if isinstance(reply, m.Done) and self.service is not None:
                    self.service.ownership.erased()
                    return
        self._bus.log("erase-failed", "the owner's data was not erased yet", level="error")


def _product(start: Start) -> Product | None:
    """The slot's design file; in the factory it may be missing."""
    with contextlib.suppress(LimpetError):
        return load_product(start.slot_path / PRODUCT_FILE)
    return None


def _words(product: Product | None, serial: str) -> tuple[str, ...]:
    """What a guesser knows of this device: product, maker, serial number."""
    words = [serial]
    if product is not None:
        words += [product.maker.name, product.model.name, product.model.display_name]
    return tuple(word for word in words if word)


def _built_at(start: Start) -> float:
    """A Unix time that is certainly past: the firmware was built then."""
    with contextlib.suppress(LimpetError):
        return load_description(start.slot_path).built_at.timestamp()
    return 0.0


def _serial(path: Path) -> str:
    try:
        identity = msgspec.json.decode(path.read_bytes()[: 64 << 10])
        return str(identity.get("serial", ""))
    except (OSError, msgspec.DecodeError, AttributeError):
        return ""  # in the factory there is none yet
