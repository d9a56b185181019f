"""What holds an update, until when, and what the owner's consent releases."""

import zlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import NOW, RepositorySimulator

from limpet.device.link import messages as m
from limpet.device.updater.check import Outcome
from limpet.device.updater.engine import Engine
from limpet.errors import Rejected
from limpet.firmware.interface import pack_interface
from limpet.wire.release import Bounds
from limpet.wire.report import ReportKind
from limpet.wire.rollout import PlanState


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        ({"admitted_ppm": 0}, "phase-in"),
        ({"state": PlanState.PAUSED}, "paused"),
        ({"state": PlanState.HALTED}, "halted"),
    ],
)
def test_a_plan_that_holds_is_obeyed_and_the_owner_sees_why(
    bench: Bench,
    repository: RepositorySimulator,
    work: Path,
    plan: dict[str, Any],
    reason: str,
) -> None:
    repository.offer(repository.add_release(work), **plan)
    status = bench.status_after_check()
    assert (status.state, status.available) == ("held", "1.1.0")
    assert status.reason.startswith(f"{reason}: ")
    assert [report.reason for report in bench.told(ReportKind.HELD)] == [reason]
    bench.check()
    assert len(bench.told(ReportKind.HELD)) == 1, "told once for each release and reason"
    bench.assert_untouched()


def test_automatic_off_holds_until_the_owner_agrees(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    """Nothing else holds this release: with automatic updates on it is installed."""
    repository.offer(repository.add_release(work))

    async def wait(engine: Engine) -> list[str]:
        engine.set_policy(m.UpdatePolicy(automatic=False))
        return [(await engine.check()).reason for _ in range(3)]

    async def agree(engine: Engine) -> str:
        await engine.check()
        engine.consent()
        return (await engine.check()).outcome.value

    assert bench.run(wait) == ["automatic-off"] * 3
    bench.assert_untouched()
    assert bench.check().reason == "automatic-off", "after a restart too"
    bench.assert_untouched()
    assert bench.run(agree) == "ready"


def test_automatic_on_installs_what_automatic_off_held(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))

    async def owner(engine: Engine) -> list[str]:
        found = []
        for automatic in (False, True):
            engine.set_policy(m.UpdatePolicy(automatic=automatic))
            found.append((await engine.check()).outcome.value)
        return found

    assert bench.run(owner) == ["held", "ready"]


def test_a_changed_interface_waits_for_the_owner_even_when_automatic_is_on(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work, interface_version=2))

    async def owner(engine: Engine) -> list[str]:
        engine.set_policy(m.UpdatePolicy(automatic=True))
        found = [(await engine.check()).reason for _ in range(2)]
        bench.assert_untouched()
        engine.consent()
        found.append((await engine.check()).outcome.value)
        return found

    assert bench.run(owner) == ["interface-change", "interface-change", "ready"]


def interface(*paths: str) -> bytes:
    document = {"paths": {path: {"get": {"responses": {"200": {}}}} for path in paths}}
    return msgspec.json.encode(document)


def test_an_interface_that_breaks_is_held_though_the_vendor_called_it_the_same(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    """The number that somebody forgot to raise is not what the device goes by."""
    bench.document = interface("/v1/update", "/v1/functions/history")
    new = pack_interface(interface("/v1/update", "/v1/functions/more"))
    repository.offer(repository.add_release(work, interface=new))

    async def owner(engine: Engine) -> list[str]:
        engine.set_policy(m.UpdatePolicy(automatic=True))
        held = await engine.check()
        assert held.detail == (
            "needs your consent, changes the interface: removed GET /v1/functions/history"
        )
        bench.assert_untouched()
        engine.consent()
        return [held.reason, (await engine.check()).outcome.value]

    assert bench.run(owner) == ["interface-change", "ready"]


def test_an_interface_that_only_grows_is_installed_by_itself(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    bench.document = interface("/v1/update")
    new = pack_interface(interface("/v1/update", "/v1/functions/more"))
    repository.offer(repository.add_release(work, interface=new))
    assert bench.check().outcome.value == "ready"


@pytest.mark.parametrize("damaged", [b"\0", zlib.compress(b" " * (8 << 20)), zlib.compress(b"[]")])
def test_an_interface_that_cannot_be_read_waits_for_the_owner(
    bench: Bench, repository: RepositorySimulator, work: Path, damaged: bytes
) -> None:
    bench.document = interface("/v1/update")
    repository.offer(repository.add_release(work, interface=damaged))
    assert bench.check().reason == "interface-change"
    bench.assert_untouched()


def test_consent_without_a_held_release_is_refused(bench: Bench) -> None:
    async def owner(engine: Engine) -> None:
        await engine.check()
        engine.consent()

    with pytest.raises(Rejected) as refused:
        bench.run(owner)
    assert refused.value.reason == "nothing-held"


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        ({"admitted_ppm": 0}, "held: phase-in, position "),
        ({"state": PlanState.PAUSED}, "held: the vendor has paused the rollout of 1.1.0"),
        ({"state": PlanState.HALTED}, "held: the vendor has halted the rollout of 1.1.0, because"),
        ({}, "held: phase-in, not before "),  # by the offline ramp
    ],
)
def test_consent_while_only_the_vendor_holds_is_refused_with_the_reason(
    bench: Bench, repository: RepositorySimulator, work: Path, plan: dict[str, Any], sentence: str
) -> None:
    soon = Bounds(
        not_before=NOW if plan else NOW + timedelta(days=1),
        minimum_duration_seconds=0,
        largest_step_ppm=1_000_000,
    )
    repository.offer(repository.add_release(work, bounds=soon), **plan)

    async def owner(engine: Engine) -> m.UpdateStatus:
        await engine.check()
        with pytest.raises(Rejected) as refused:
            engine.consent()
        assert refused.value.reason == "vendor-holds"
        assert refused.value.message.startswith(sentence)
        return engine.status()

    held = bench.run(owner).held
    assert held is not None
    assert not held.consent_ends
    bench.assert_untouched()


def test_consent_is_for_the_release_that_was_held_and_no_other(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work, "1.1.0"))

    async def owner(engine: Engine) -> str:
        engine.set_policy(m.UpdatePolicy(automatic=False))
        await engine.check()
        engine.consent()
        repository.offer(repository.add_release(work, "1.2.0"))
        return (await engine.check()).reason

    assert bench.run(owner) == "automatic-off"


def test_consent_is_spent_by_one_installation(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    bench.check()  # a trial: another activation meets it, and this process goes on
    repository.offer(repository.add_release(work, "1.2.0"))

    async def owner(engine: Engine) -> list[str]:
        engine.set_policy(m.UpdatePolicy(automatic=False))
        found = [(await engine.check()).outcome.value]
        engine.consent()
        found += [(await engine.check()).outcome.value for _ in range(2)]
        return found

    assert bench.run(owner) == ["held", "ready", "held"]


def test_the_policy_survives_a_restart_and_a_bad_zone_is_refused(bench: Bench) -> None:
    policy = m.UpdatePolicy(automatic=False, window=m.Window(start_minute=120, end_minute=300))

    async def set_it(engine: Engine) -> None:
        engine.set_policy(policy)
        with pytest.raises(Rejected) as refused:
            engine.set_policy(m.UpdatePolicy(window=m.Window(zone="Mars/Olympus")))
        assert refused.value.reason == "unknown-zone"

    async def read_it(engine: Engine) -> m.UpdatePolicy:
        return engine.policy

    bench.run(set_it)
    assert bench.run(read_it) == policy


def test_a_halt_during_the_download_stops_the_activation(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    release = repository.add_release(work)
    repository.offer(release)

    def halt(path: str) -> None:
        if path.startswith("images/"):
            repository.hooks.clear()
            repository.offer(release, state=PlanState.HALTED)

    repository.hooks.append(halt)
    result = bench.check()
    assert (result.outcome, result.reason) == (Outcome.HELD, "halted")
    bench.assert_untouched()
