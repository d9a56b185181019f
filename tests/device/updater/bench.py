"""A device around the updater's engine: real files, real boot record, a simulated vendor."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from tests.device.updater.simulator import MODEL, NOW, RepositorySimulator, make_tree

from limpet.crypto.attesting import PublicKey
from limpet.device.link import messages as m
from limpet.device.link.identity import DeviceIdentity
from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.device.supervisor._slots import SlotKeeper
from limpet.device.updater.check import CheckResult
from limpet.device.updater.device import Device, Places
from limpet.device.updater.engine import Engine
from limpet.device.updater.source import Source
from limpet.device.updater.surroundings import Surroundings
from limpet.errors import LimpetError
from limpet.firmware.description import FirmwareDescription
from limpet.firmware.slots import (
    BOOT_FILE,
    SlotName,
    SlotRecord,
    decide_start,
    factory_state,
    load_boot_state,
    save_boot_state,
)
from limpet.firmware.tree import digest_tree
from limpet.product import Product, load_product
from limpet.wire.factory import SeenVersion
from limpet.wire.report import Report, ReportKind

PRODUCT = Path(__file__).parents[3] / "examples" / "thermostat" / "product.toml"
T = TypeVar("T")


@functools.cache
def _product() -> Product:
    return load_product(PRODUCT)


@dataclass
class Bench:
    """One device. `deliveries` is what reached the vendor; set `vendor_down` to cut it off."""

    root: Path
    repository: RepositorySimulator
    source: Source | None = None
    version: str = "1.0.0"
    counter: int = 1
    interface: int = 1
    document: bytes = b""
    slot: SlotName = "a"
    wall: datetime = NOW
    hardware: str = "A1"
    serial: str = "TH-0000"
    gate_keys: tuple[PublicKey, ...] = ()
    seen: dict[str, SeenVersion] = field(default_factory=dict)  # by its factory
    logged: list[tuple[str, str, str]] = field(default_factory=list)
    delivered: list[bytes] = field(default_factory=list)
    asked: list[m.Request] = field(default_factory=list)
    certificate: bool = False
    health: list[m.Reply] = field(default_factory=list)
    ticks: float = 0.0
    pauses: list[float] = field(default_factory=list)
    random: float = 0.5

    def __post_init__(self) -> None:
        slots = self.root / "slots"
        slots.mkdir(parents=True)
        (self.root / "updater" / "staging").mkdir(parents=True)
        make_tree(slots / "a", self.version)
        record = SlotRecord(
            version=self.version,
            manifest_sha256="0" * 64,
            tree_sha256=digest_tree(slots / "a"),
            security_counter=self.counter,
        )
        save_boot_state(slots / BOOT_FILE, factory_state(record))
        self.tree_before = digest_tree(slots / "a")

    # --- what the engine gets

    def device(self) -> Device:
        return Device(
            identity=DeviceIdentity(
                maker="Example",
                model=MODEL,
                hardware_revision=self.hardware,
                serial=self.serial,
                manufactured_at=NOW,
                seen=self.seen,
            ),
            description=FirmwareDescription(
                model=MODEL,
                hardware_revisions=("A1", "A2"),
                version=self.version,
                security_counter=self.counter,
                interface_version=self.interface,
                built_at=NOW - timedelta(days=30),
            ),
            product=_product(),
            slot=self.slot,
            slot_path=self.root / "slots" / self.slot,
            places=Places(own=self.root / "updater", staging=self.root / "updater" / "staging"),
            trusted_root=self.repository.trusted_root,
            service_roots=b"",
            gate_keys=self.gate_keys,
            interface=self.document,
        )

    def engine(self) -> Engine:
        return Engine(
            self.device(),
            Surroundings(
                source=self.source or self.repository,
                delivery=lambda: self._deliver if self.certificate else None,
                supervisor=self._supervise,
                health=self._ask_health,
                log=lambda event, detail, level: self.logged.append((event, detail, level)),
                wall=lambda: self.wall,
                monotonic=lambda: self.ticks,
                sleep=self._sleep,
                random=lambda: self.random,
                pause=self.pause,
            ),
        )

    def _deliver(self, data: bytes) -> int:
        self.delivered.append(data)
        return 204

    async def _supervise(self, request: m.Request) -> m.Reply:
        self.asked.append(request)
        keeper = SlotKeeper(Start(role=Role.SUPERVISOR, root=self.root, slot=self.slot))
        try:
            match request:
                case m.ReadBootRecord():
                    return keeper.read()
                case m.Activate():
                    keeper.activate(request)
                case m.ConfirmTrial():
                    keeper.confirm()
                case m.RejectTrial():
                    keeper.reject(request.reason)
        except LimpetError as error:
            return m.Refused(reason=getattr(error, "reason", "unavailable"), message=error.message)
        return m.Done()

    async def _sleep(self, seconds: float) -> None:
        self.ticks += seconds
        await asyncio.sleep(0)

    def pause(self, seconds: float) -> None:
        """Of a transfer; a test may put another in its place."""
        self.ticks += seconds
        self.pauses += [seconds] if seconds else []

    async def _ask_health(self) -> m.Reply:
        return self.health.pop(0) if len(self.health) > 1 else self.health[0]

    # --- what a test does

    def run(self, work: Callable[[Engine], Coroutine[Any, Any, T]]) -> T:
        """Start an engine, do `work` with it, end it: as one life of the process."""

        async def life() -> T:
            engine = self.engine()
            try:
                await engine.start()
                return await work(engine)
            finally:
                engine.close()

        return asyncio.run(life())

    def check(self) -> CheckResult:
        return self.run(lambda engine: engine.check())

    def status_after_check(self) -> m.UpdateStatus:
        async def both(engine: Engine) -> m.UpdateStatus:
            await engine.check()
            return engine.status()

        return self.run(both)

    def boot(self) -> None:
        """Boot chooses a slot, as after a restart."""
        path = self.root / "slots" / BOOT_FILE
        choice = decide_start(load_boot_state(path))
        save_boot_state(path, choice.state_after)
        self.slot, self.version = choice.slot, choice.record.version
        self.counter = choice.record.security_counter

    def judge(self, *answers: m.Reply) -> None:
        self.health = list(answers)
        self.run(lambda engine: engine.judge_trial())

    def reports(self) -> list[Report]:
        from limpet.device.updater.reports import ReportQueue

        return list(ReportQueue(self.root / "updater" / "reports", model=MODEL).waiting())

    def told(self, kind: ReportKind) -> list[Report]:
        return [report for report in self.reports() if report.kind is kind]

    def assert_untouched(self) -> None:
        """The running firmware is what it was, and stays chosen."""
        assert digest_tree(self.root / "slots" / "a") == self.tree_before
        assert not [request for request in self.asked if isinstance(request, m.Activate)]
        assert decide_start(load_boot_state(self.root / "slots" / BOOT_FILE)).slot == "a"

    def assert_refused(self, result: CheckResult, reason: str) -> None:
        """Reason in result, log and report; old firmware untouched."""
        assert result.reason == reason, result
        assert any(event == "update-refused" and reason in text for event, text, _ in self.logged)
        assert [report.reason for report in self.told(ReportKind.REFUSED)] == [reason]
        self.assert_untouched()
