"""What the owner may hold back, for how long, and how it is told: each with its bound."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import MODEL, NOW, RepositorySimulator

from limpet.device.link import messages as m
from limpet.device.updater.engine import Engine
from limpet.device.updater.holding import CONSENT_ENDS
from limpet.device.updater.words import SENTENCES, say_hold
from limpet.errors import Rejected
from limpet.firmware.decision import OWNER_HOLDS, VENDOR_HOLDS, Hold
from limpet.wire.report import ReportKind
from limpet.wire.rollout import Plan, PlanState

DAY = timedelta(days=1)
NIGHT = m.Window(start_minute=120, end_minute=300)
LAST = 30  # days: the example product's max_hold_days


def go_to(bench: Bench, repository: RepositorySimulator, at: datetime) -> None:
    """The vendor goes on signing meanwhile."""
    bench.wall = at
    for role in (*repository.roles.values(), repository.snapshot, repository.timestamp):
        role.expires = at + 7 * DAY
    repository.publish()


def check_as(bench: Bench, work: Any = None) -> m.UpdateStatus:
    """One life of the process: the owner does `work`, a check, the status after it."""

    async def life(engine: Engine) -> m.UpdateStatus:
        if work is not None:
            work(engine)
        await engine.check()
        return engine.status()

    return bench.run(life)


def test_every_reason_has_its_sentence_with_figures(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    """The issue's own examples, from real checks."""
    release = repository.add_release(work, interface_version=2)
    repository.offer(release, admitted_ppm=0)
    text = check_as(bench).held
    assert text is not None
    assert text.text.startswith("held: phase-in, position ")
    assert text.text.endswith(" %, admitted 0 %")
    repository.offer(release)
    held = check_as(bench).held
    assert held is not None
    assert held.text.startswith("held: needs your consent, changes the interface")
    repository.offer(release, state=PlanState.PAUSED)
    held = check_as(bench).held
    assert held is not None
    assert held.text == "held: the vendor has paused the rollout of 1.1.0"


def test_the_table_of_sentences_knows_every_reason() -> None:
    assert set(SENTENCES) == VENDOR_HOLDS | CONSENT_ENDS | {"file-refused", "day-limit", "low-disk"}
    assert OWNER_HOLDS | {"failed-before", "interface-change", "metered"} == CONSENT_ENDS
    assert not VENDOR_HOLDS & CONSENT_ENDS
    for reason in SENTENCES:
        assert "FIGURE" in say_hold(Hold(reason, "FIGURE"))


def test_a_hold_by_the_window_says_until_when_and_ends_then(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    bench.wall = NOW.replace(hour=12)
    status = check_as(bench, lambda engine: engine.set_policy(m.UpdatePolicy(window=NIGHT)))
    opens = bench.wall.replace(hour=2, minute=0, second=0, microsecond=0) + DAY
    assert status.held is not None
    assert status.held.text.startswith("held: outside window until ")
    assert "02:00 (UTC)" in status.held.text
    assert (status.held.since, status.held.until) == (bench.wall, opens)
    bench.assert_untouched()
    go_to(bench, repository, opens)
    assert check_as(bench).held is None
    assert bench.told(ReportKind.INSTALLED)


def test_the_report_of_an_owners_hold_tells_nothing_of_the_owners_hours(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    bench.wall = NOW.replace(hour=12)
    check_as(bench, lambda engine: engine.set_policy(m.UpdatePolicy(window=NIGHT)))
    [told] = bench.told(ReportKind.HELD)
    assert (told.reason, told.detail) == ("outside-window", "")
    assert b"02:00" not in (bench.root / "updater" / "progress.json").read_bytes()


@pytest.mark.parametrize("how", ["ask", "postpone"])
def test_an_owner_holds_back_up_to_the_products_bound_and_no_day_more(
    bench: Bench, repository: RepositorySimulator, work: Path, how: str
) -> None:
    """Postponed again and again, with a new release each time: the bound counts from the first."""
    repository.offer(repository.add_release(work, "1.1.0"))

    def hold(engine: Engine) -> None:
        if how == "ask":
            engine.set_policy(m.UpdatePolicy(ask=True))
        else:
            engine.postpone(LAST)

    status = check_as(bench, hold)
    begun = bench.wall
    assert status.held is not None
    assert status.held.reason == ("needs-consent" if how == "ask" else "postponed")
    assert status.held.until == status.hold_until == begun + LAST * DAY
    assert f"{begun + LAST * DAY:%Y-%m-%d}" in status.held.text
    go_to(bench, repository, begun + 20 * DAY)
    repository.offer(repository.add_release(work, "1.2.0"))
    status = check_as(bench)
    assert status.held is not None
    assert status.held.until == begun + LAST * DAY, "another release begins no other wait"
    if how == "postpone":
        with pytest.raises(Rejected) as refused:
            check_as(bench, lambda engine: engine.postpone(11))
        assert refused.value.reason == "hold-too-long"
    bench.assert_untouched()
    go_to(bench, repository, begun + LAST * DAY)
    assert check_as(bench).held is None
    assert bench.told(ReportKind.INSTALLED)


def test_install_now_ends_a_postponement_for_that_release(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))

    async def owner(engine: Engine) -> list[str]:
        engine.postpone(7)
        found = [(await engine.check()).reason]
        engine.consent()
        return [*found, (await engine.check()).outcome.value]

    assert bench.run(owner) == ["postponed", "ready"]


def test_a_postponement_survives_a_restart_and_is_ended_by_no_days(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    assert (
        check_as(bench, lambda engine: engine.postpone(3)).postponed_until == bench.wall + 3 * DAY
    )
    assert check_as(bench).held is not None
    assert check_as(bench, lambda engine: engine.postpone(0)).held is None


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", b'{"until": "2999-01-01T00:00:00Z"'])
def test_a_damaged_postponement_is_none(
    bench: Bench, repository: RepositorySimulator, work: Path, damage: bytes
) -> None:
    repository.offer(repository.add_release(work))
    settings = bench.root / "updater" / "settings"
    settings.mkdir()
    (settings / "postponed.json").write_bytes(damage)
    assert check_as(bench).held is None
    assert "policy-damaged" in [event for event, _, _ in bench.logged]


def test_a_forged_postponement_holds_no_longer_than_the_product_allows(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    """Who can write the owner's settings still gains the bound only."""
    repository.offer(repository.add_release(work))
    check_as(bench, lambda engine: engine.postpone(1))
    file = bench.root / "updater" / "settings" / "postponed.json"
    record = msgspec.json.decode(file.read_bytes())
    file.write_bytes(msgspec.json.encode({**record, "until": "2999-01-01T00:00:00Z"}))
    status = check_as(bench)
    assert status.held is not None
    assert status.held.until == bench.wall + LAST * DAY


def test_a_product_that_lets_nobody_hold_refuses_it_by_name(bench: Bench) -> None:
    product = bench.device().product
    update = msgspec.structs.replace(product.update, max_hold_days=0)
    device = bench.device()
    object.__setattr__(device, "product", msgspec.structs.replace(product, update=update))
    bench.device = lambda: device  # type: ignore[method-assign]
    for hold in (
        lambda engine: engine.postpone(1),
        lambda engine: engine.set_policy(m.UpdatePolicy(ask=True)),
    ):
        with pytest.raises(Rejected) as refused:
            check_as(bench, hold)
        assert refused.value.reason == "no-holding"


def test_what_was_held_is_shown_after_a_restart_before_the_first_check(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work), admitted_ppm=0)
    before = check_as(bench)
    bench.wall += timedelta(hours=1)

    async def look(engine: Engine) -> m.UpdateStatus:
        return engine.status()

    after = bench.run(look)
    assert before.held is not None
    assert after.held is not None
    assert (after.state, after.available) == ("held", "1.1.0")
    assert (after.held.reason, after.held.since) == ("phase-in", before.held.since)


def test_nothing_offered_any_more_ends_the_count_of_the_owners_days(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    assert check_as(bench, lambda engine: engine.postpone(5)).hold_until is not None
    repository.plan = Plan(model=MODEL, state=PlanState.IDLE, issued_at=NOW)
    repository.publish()
    assert check_as(bench).hold_until is None


@pytest.mark.parametrize(("admitted", "installs"), [(1_000_000, True), (0, False)])
def test_a_choice_that_changes_is_obeyed_at_once_and_never_the_vendors_turn(
    bench: Bench, repository: RepositorySimulator, work: Path, admitted: int, installs: bool
) -> None:
    """Hours before the next check is due. The control is a release that the vendor holds."""
    repository.offer(repository.add_release(work), admitted_ppm=admitted)
    bench.wall = NOW.replace(hour=12)

    async def life(engine: Engine) -> None:
        engine.set_policy(m.UpdatePolicy(window=NIGHT))
        await engine.check()
        running = asyncio.ensure_future(engine.run())
        await asyncio.sleep(0.05)
        engine.set_policy(m.UpdatePolicy())
        for _ in range(3000 if installs else 20):
            await asyncio.sleep(0.02)
            if bench.told(ReportKind.INSTALLED):
                break
        running.cancel()

    bench.run(life)
    assert bool(bench.told(ReportKind.INSTALLED)) is installs
