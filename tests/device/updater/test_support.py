"""The end of support: told in time, obeyed when it comes, and moved by offline keys only."""

from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.device.updater.bench import PRODUCT, Bench
from tests.device.updater.simulator import MODEL, NOW, RELEASES, ROLLOUT, RepositorySimulator

from limpet.device.link import messages as m
from limpet.device.updater.engine import Engine
from limpet.device.updater.support import NOTICE_DAYS, Phase, decide_support, is_newer
from limpet.product import AfterSupport as Declared
from limpet.product import Support, load_product
from limpet.wire.support import AfterSupport, SupportStatement

DAY = timedelta(days=1)
END = datetime(2031, 12, 31, 23, 59, 59, tzinfo=UTC)
STOPS = AfterSupport.STOPS_REMOTE_FUNCTIONS


def promised(after: Declared = Declared.KEEPS_WORKING_LOCALLY) -> Support:
    return Support(until=END.date(), after=after, text="until the end of 2031")


def signed(
    until: datetime, issued_at: datetime = NOW, after: AfterSupport = STOPS
) -> SupportStatement:
    return SupportStatement(
        model=MODEL, until=until, after=after, text="as signed", issued_at=issued_at
    )


def asked_to_allow(bench: Bench) -> list[bool]:
    return [one.allowed for one in bench.asked if isinstance(one, m.AllowRemoteFunctions)]


@pytest.mark.parametrize(
    ("before", "phase", "words"),
    [
        (timedelta(days=NOTICE_DAYS + 1), Phase.SUPPORTED, ""),
        (timedelta(days=NOTICE_DAYS - 1), Phase.ENDS_SOON, "end on 2031-12-31, in 89 days"),
        (timedelta(hours=30), Phase.ENDS_SOON, "tomorrow"),
        (timedelta(hours=3), Phase.ENDS_SOON, "today"),
        (timedelta(seconds=-1), Phase.OVER, "Security updates ended on 2031-12-31"),
    ],
)
def test_the_owner_is_told_in_time_and_in_words(
    before: timedelta, phase: Phase, words: str
) -> None:
    standing = decide_support(promised(), None, END - before)
    assert standing.phase is phase
    assert words in standing.notice
    assert bool(standing.notice) is bool(words)
    assert len(standing.notice) <= 300, "a notice's bound"


def test_what_follows_is_said_and_done_only_after_the_end() -> None:
    for at, allowed in ((END, True), (END + timedelta(seconds=1), False)):
        standing = decide_support(promised(Declared.STOPS_REMOTE_FUNCTIONS), None, at)
        assert "use the Internet stop" in standing.notice
        assert standing.remote_functions is allowed
    local = decide_support(promised(), None, END + 1000 * DAY)
    assert local.remote_functions
    assert "keeps working in your network" in local.notice


@given(st.integers(-400 * 86400, 400 * 86400))
def test_the_next_change_is_where_the_phase_changes(seconds: int) -> None:
    now = END + timedelta(seconds=seconds)
    standing = decide_support(promised(), None, now)
    change = standing.next_change(now)
    if change is None:
        assert standing.phase is Phase.OVER
        return
    assert change >= now
    phases = [
        decide_support(promised(), None, change + n * timedelta(seconds=1)).phase for n in (0, 1)
    ]
    assert phases[0] is standing.phase
    assert phases[1] is not standing.phase


def test_only_a_statement_that_is_not_older_replaces_the_known_one() -> None:
    known = signed(END, NOW)
    assert is_newer(known, None)
    assert is_newer(signed(END, NOW + DAY), known)
    assert not is_newer(signed(END, NOW - timedelta(seconds=1)), known)


def test_the_signed_word_survives_a_restart_without_a_network(
    bench: Bench, repository: RepositorySimulator
) -> None:
    """Extended beyond the product's own date: a device that forgot it would stop."""
    later = datetime(2035, 6, 30, tzinfo=UTC)
    repository.state_support(later)
    assert bench.status_after_check().support_until == later
    repository.files.clear()
    bench.wall = datetime(2033, 1, 1, tzinfo=UTC)

    async def look(engine: Engine) -> m.UpdateStatus:
        return engine.status()

    status = bench.run(look)
    assert (status.support_until, status.support_over) == (later, False)


@pytest.mark.parametrize("until", [NOW - DAY, NOW + 4000 * DAY], ids=["shorter", "longer"])
@pytest.mark.parametrize("theft", ["signed by the thief", "old statement replayed"])
def test_who_holds_the_online_keys_moves_the_end_by_no_second(
    bench: Bench, repository: RepositorySimulator, until: datetime, theft: str
) -> None:
    """The control: `releases` signs the same and is obeyed."""
    before = bench.status_after_check().support_until
    if theft == "signed by the thief":
        repository.state_support(until, role=ROLLOUT)
        assert bench.status_after_check().support_until == before
    else:
        repository.state_support(until)
        old, version = deepcopy(repository.files), repository.roles[RELEASES].version
        repository.state_support(before or END, issued_at=NOW + timedelta(minutes=1))
        assert bench.status_after_check().support_until == before
        repository.files.update(
            {name: data for name, data in old.items() if f"{version}.releases" in name}
        )
        assert bench.status_after_check().support_until == before
    repository.roles[ROLLOUT].targets.pop(f"firmware/{MODEL}/support.json", None)
    repository.state_support(until, issued_at=NOW + timedelta(minutes=2))
    assert bench.status_after_check().support_until == until


def test_an_older_statement_that_was_signed_validly_does_not_come_back(
    bench: Bench, repository: RepositorySimulator
) -> None:
    """Even if the offline role itself were led to sign it anew."""
    repository.state_support(END, issued_at=NOW)
    assert bench.status_after_check().support_until == END
    repository.state_support(END - 900 * DAY, issued_at=NOW - DAY)
    assert bench.status_after_check().support_until == END


@pytest.mark.parametrize("after", list(AfterSupport))
def test_the_end_is_logged_once_and_what_stops_is_stopped(
    bench: Bench, repository: RepositorySimulator, after: AfterSupport
) -> None:
    end = NOW + 30 * DAY
    repository.state_support(end, after=after)
    bench.check()
    bench.check()
    told = [text for event, text, _ in bench.logged if event == "support-ends-soon"]
    assert len(told) == 1
    assert "in 30 days" in told[0]
    assert set(asked_to_allow(bench)) == {True}
    bench.asked.clear()
    bench.wall = end + timedelta(seconds=1)

    async def tell(engine: Engine) -> float:
        return await engine.tell_support()

    assert bench.run(tell) == float("inf")
    bench.run(tell)
    assert len([1 for event, _, _ in bench.logged if event == "support-over"]) == 1
    assert set(asked_to_allow(bench)) == {after is AfterSupport.KEEPS_WORKING_LOCALLY}


def test_the_updater_does_not_sleep_through_the_end(
    bench: Bench, repository: RepositorySimulator
) -> None:
    end = NOW + timedelta(minutes=10)
    repository.state_support(end)

    async def tell(engine: Engine) -> float:
        await engine.check()
        return await engine.tell_support()

    assert bench.run(tell) == 600


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", b'{"spec": "limpet-support-1"}'])
def test_a_damaged_record_is_said_and_the_products_dates_hold(bench: Bench, damage: bytes) -> None:
    (bench.root / "updater" / "support.json").write_bytes(damage)
    status = bench.status_after_check()
    assert status.support_until is not None
    assert status.support_until.date() == load_product(PRODUCT).support.until
    assert "support-damaged" in [event for event, _, _ in bench.logged]


def test_phases_follow_each_other() -> None:
    days = [END.date() + timedelta(days=n) for n in (-200, -50, 1)]
    found = [decide_support(promised(), None, _noon(day)).phase for day in days]
    assert found == list(Phase)
    assert all(one is not other for one, other in pairwise(found))


def _noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
