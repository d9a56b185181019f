"""An updater that rests: its next process knows what this one knew, and puts nothing off."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import RepositorySimulator

from limpet.device.link import messages as m
from limpet.device.updater.engine import Engine
from limpet.errors import Rejected
from limpet.wire.report import ReportKind


async def _running(engine: Engine) -> asyncio.Task[None]:
    """The engine between two checks."""
    task = asyncio.ensure_future(engine.run())
    await asyncio.sleep(0)
    return task


def _rest(bench: Bench, *, check: bool = True) -> tuple[float | None, m.UpdateStatus]:
    """One life of the process, up to its rest: the seconds it wants, and what it last said."""

    async def life(engine: Engine) -> tuple[float | None, m.UpdateStatus]:
        if check:
            await engine.check()
        task = await _running(engine)
        status, left = engine.status(), engine.rest()
        task.cancel()
        return left, status

    return bench.run(life)


def test_what_the_owner_saw_before_a_rest_is_seen_after_it(bench: Bench) -> None:
    bench.certificate = True
    left, before = _rest(bench)
    assert left is not None
    assert left > 60

    async def wake(engine: Engine) -> m.UpdateStatus:
        task = await _running(engine)
        status = engine.status()
        task.cancel()
        return status

    after = bench.run(wake)
    assert after == before
    assert after.last_check is not None


def test_whoever_wakes_an_updater_often_does_not_keep_it_from_checking(bench: Bench) -> None:
    bench.certificate = True
    left, _ = _rest(bench)
    assert left is not None
    for _ in range(9):
        bench.ticks += left / 10
        woken, _ = _rest(bench, check=False)
        if woken is not None:
            assert woken <= left
    bench.ticks += left / 10 + 1
    bench.wall += timedelta(days=1)  # so that another check is seen

    async def wake(engine: Engine) -> bool:
        before = engine.status().last_check
        task = await _running(engine)
        for _ in range(6000):
            await asyncio.sleep(0.01)
            if engine.status().last_check != before:
                break
        task.cancel()
        return engine.status().last_check != before

    assert bench.run(wake), "the check was put off"


def test_whoever_wakes_an_updater_often_does_not_bring_its_check_nearer(bench: Bench) -> None:
    """The least of many draws would be a check at once: of each device that somebody looks at."""
    bench.certificate = True
    left, _ = _rest(bench, check=False)
    assert left is not None
    bench.random = 0.01  # whoever drew again would check soon
    for _ in range(9):
        bench.ticks += left / 20
        _rest(bench, check=False)
    still, _ = _rest(bench, check=False)
    assert still == pytest.approx(left * 11 / 20, abs=1.0)


def test_a_restart_of_the_machine_does_not_put_the_check_off(bench: Bench) -> None:
    bench.certificate = True
    bench.ticks = 1e7
    left, _ = _rest(bench)
    assert left is not None
    bench.ticks = 5.0  # the monotonic clock began anew
    woken, _ = _rest(bench, check=False)
    assert woken is not None
    assert woken <= 2 * left


def test_a_vendor_that_is_away_is_asked_no_more_often_for_a_rest(
    bench: Bench, repository: RepositorySimulator
) -> None:
    bench.certificate = True
    repository.files.clear()
    pauses = []

    async def wait_for_rest(engine: Engine) -> float:
        task = await _running(engine)
        for _ in range(6000):
            await asyncio.sleep(0.01)
            if (left := engine.rest()) is not None:
                break
        task.cancel()
        assert left is not None
        return left

    left, _ = _rest(bench)
    for _ in range(4):
        assert left is not None
        bench.ticks += left + 1  # what is due then is done by the woken updater itself
        left = bench.run(wait_for_rest)
        pauses.append(left)
    assert pauses == sorted(pauses)
    assert pauses[-1] > 2 * pauses[0], "failures before a rest are forgotten after it"


def test_an_updater_with_anything_to_do_does_not_rest(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    left, _ = _rest(bench)
    assert bench.reports()
    assert left is None, "a report waits"
    bench.certificate = True
    repository.offer(repository.add_release(work), admitted_ppm=0)
    left, status = _rest(bench)
    assert status.state == "held"
    assert left is None, "a release is held"


def test_a_device_that_rests_after_each_check_tells_no_more_often_that_it_runs(
    bench: Bench,
) -> None:
    bench.certificate = True
    for _ in range(3):
        assert _rest(bench)[0] is not None
    assert sum(b'"running"' in report for report in bench.delivered) == 1


def test_what_other_firmware_left_or_what_is_damaged_counts_for_nothing(bench: Bench) -> None:
    bench.certificate = True
    assert _rest(bench)[0] is not None
    record = bench.root / "updater" / "rest.json"
    sound = record.read_bytes()
    for damaged in (sound[:-9], b"", sound.replace(b'"1.0.0"', b'"0.9.0"')):
        record.write_bytes(damaged)

        async def wake(engine: Engine) -> bool:
            return engine.has_looked

        assert not bench.run(wake)


def test_a_release_is_not_consented_to_by_a_rest(bench: Bench) -> None:
    bench.certificate = True
    assert _rest(bench)[0] is not None

    async def wake(engine: Engine) -> None:
        engine.consent()

    with pytest.raises(Rejected, match="no update is held"):
        bench.run(wake)
    assert not bench.told(ReportKind.ATTEMPT)
