"""Old metadata goes; roots, what people signed, and what a client may still ask for stay."""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.device.workshop import until
from tests.vendor.test_repository_cuts import Cut
from tests.vendor.workshop import MODEL, NOW, Clock, FileFetcher, TufClient, make_release, running

from limpet.errors import Rejected
from limpet.vendor.front import upkeep
from limpet.vendor.front.upkeep import FIRST_SECONDS, REST_SECONDS, Upkeep
from limpet.vendor.home import Home
from limpet.vendor.repository import Repository, forget_superseded, forgetting
from limpet.vendor.repository._shelf import Shelf
from limpet.vendor.repository.forgetting import KEPT
from limpet.vendor.repository.renewal import renew
from limpet.vendor.store import Database
from limpet.wire.rollout import Plan, PlanState, plan_path

RENEWED = timedelta(days=3, hours=13)
"""After this the service renews what lasts seven days."""

YEAR = 104  # renewals

NEW, OLD = 20, 50
"""Renewals: more than a month's, which would stay."""


@pytest.fixture
def dated(home: Home) -> Callable[[Clock], Repository]:
    """A repository whose files are as old as its clock says."""

    def make(clock: Clock) -> Repository:
        def date(name: str) -> None:
            at = clock().timestamp()
            os.utime(home.repository / name, (at, at))

        for file in home.repository.rglob("*.json"):
            os.utime(file, (NOW.timestamp(), NOW.timestamp()))
        return Repository(home, clock, after_write=date)

    return make


def plan(number: int, clock: Clock) -> Plan:
    return Plan(model=MODEL, state=PlanState.PAUSED, admitted_ppm=number, issued_at=clock())


def pass_time(repository: Repository, clock: Clock, renewals: int) -> None:
    """Every other renewal is a step of a rollout."""
    for number in range(renewals):
        clock.pass_seconds(RENEWED.total_seconds())
        if number % 2:
            repository.publish_plan(plan(number, clock))
        else:
            assert repository.refresh_timestamp()


def names(home: Home, kind: str = "") -> set[str]:
    files = (file for file in home.repository.rglob("*") if file.is_file())
    return {str(name) for file in files if kind in str(name := file.relative_to(home.repository))}


def test_a_year_of_renewals_and_steps_leaves_a_months_files(
    home: Home, dated: Callable[[Clock], Repository]
) -> None:
    clock = Clock()
    repository = dated(clock)
    pass_time(repository, clock, YEAR)
    before = len(names(home))
    assert len(names(home, ".snapshot.json")) == YEAR + 1
    assert forget_superseded(home, now=clock())
    month = KEPT // RENEWED + 2
    assert len(names(home, ".snapshot.json")) <= month
    assert len(names(home, "rollout/thermostat.json")) <= month
    assert len(names(home, ".plan.json")) <= month
    assert len(names(home)) < before / 4
    assert not [
        one for one in home.repository.rglob("*") if one.is_dir() and not any(one.iterdir())
    ]
    assert not forget_superseded(home, now=clock())
    assert repository.plan().admitted_ppm == YEAR - 1
    repository.verify_keys()
    pass_time(repository, clock, 2)


def test_what_people_signed_stays_whatever_its_age(
    home: Home, tmp_path: Path, dated: Callable[[Clock], Repository]
) -> None:
    clock = Clock()
    repository = dated(clock)
    first = (home.repository / "metadata/1.root.json").read_bytes()
    repository.add_release(make_release(home, tmp_path))
    renew(home, offline=home.offline, now=clock())
    signed = {
        name
        for name in names(home)
        if "rollout" not in name and "snapshot" not in name and "timestamp" not in name
    }
    assert {"metadata/1.root.json", "metadata/2.root.json", "metadata/1.targets.json"} < signed
    assert f"metadata/1.releases/{MODEL}.json" in signed
    pass_time(repository, clock, OLD)
    assert forget_superseded(home, now=clock() + 100 * KEPT)
    assert signed <= names(home)
    client = TufClient(home, tmp_path / "client")
    assert (home.repository / "metadata/1.root.json").read_bytes() == first
    assert client.read(plan_path(MODEL)) is not None


class Held(FileFetcher):
    """A network that still holds a timestamp of before."""

    def __init__(self, root: Path, timestamp: bytes) -> None:
        super().__init__(root)
        self.timestamp = timestamp

    def _fetch(self, url: str) -> Iterator[bytes]:
        if url.endswith("/timestamp.json"):
            return iter([self.timestamp])
        return super()._fetch(url)


def test_who_holds_a_timestamp_of_yesterday_finds_all_that_it_names(
    home: Home, tmp_path: Path, dated: Callable[[Clock], Repository]
) -> None:
    clock = Clock()
    repository = dated(clock)
    pass_time(repository, clock, NEW)
    repository.publish_plan(plan(111, clock))  # older than what goes, and still the plan of then
    for _ in range(12):
        clock.pass_seconds(RENEWED.total_seconds())
        repository.refresh_timestamp()
    held = (home.repository / "metadata/timestamp.json").read_bytes()
    clock.pass_seconds(20 * 3600)
    repository.publish_plan(plan(222, clock))
    assert forget_superseded(home, now=clock())
    for fetcher, ppm in ((Held(home.repository, held), b"111"), (None, b"222")):
        client = TufClient(home, tmp_path / ppm.decode(), fetcher)
        data = client.read(plan_path(MODEL))
        assert data is not None
        assert ppm in data


def test_a_cut_between_any_two_removals_is_harmless(
    home: Home,
    tmp_path: Path,
    dated: Callable[[Clock], Repository],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    repository = dated(clock)
    pass_time(repository, clock, NEW)
    repository.publish_plan(plan(7, clock))
    real, left = Shelf.remove, 0

    def cut(shelf: Shelf, name: str) -> None:
        nonlocal left
        if left == 0:
            raise Cut
        left -= 1
        real(shelf, name)

    monkeypatch.setattr(Shelf, "remove", cut)
    cuts = 0
    while True:
        left = 1
        try:
            forget_superseded(home, now=clock())
        except Cut:
            cuts += 1
        else:
            break
        data = TufClient(home, tmp_path / str(cuts)).read(plan_path(MODEL))
        assert data is not None
        assert b'"admitted_ppm":7' in data.replace(b" ", b"")
    assert cuts > NEW
    left = 10_000
    assert not forget_superseded(home, now=clock())
    assert len(names(home, ".snapshot.json")) <= KEPT // RENEWED + 3


def test_one_call_removes_a_bounded_number(
    home: Home, dated: Callable[[Clock], Repository], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 3)
    clock = Clock()
    pass_time(dated(clock), clock, 14)
    before = len(names(home))
    assert forget_superseded(home, now=clock()) == 3
    assert len(names(home)) == before - 3


def test_what_a_cut_publication_left_above_the_current_version_is_not_touched(
    home: Home, dated: Callable[[Clock], Repository]
) -> None:
    clock = Clock()
    pass_time(dated(clock), clock, 3)
    newest = home.repository / "metadata/4.snapshot.json"
    for number in (5, 6):
        shutil.copy2(newest, newest.with_name(f"{number}.snapshot.json"))
    forget_superseded(home, now=clock() + 2 * KEPT)
    assert names(home, ".snapshot.json") == {f"metadata/{n}.snapshot.json" for n in (4, 5, 6)}


def test_nothing_goes_where_what_is_current_is_damaged(
    home: Home, dated: Callable[[Clock], Repository]
) -> None:
    clock = Clock()
    pass_time(dated(clock), clock, 3)
    (home.repository / f"metadata/4.rollout/{MODEL}.json").write_bytes(b"{}")
    before = names(home)
    with pytest.raises(Rejected, match="not the file"):
        forget_superseded(home, now=clock() + 2 * KEPT)
    assert names(home) == before


def test_the_service_forgets_an_hour_after_there_was_nothing_left(
    home: Home, dated: Callable[[Clock], Repository], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 5)
    clock, seconds = Clock(), 1000.0
    pass_time(dated(clock), clock, 8)
    clock.pass_seconds(2 * KEPT.total_seconds())
    keeper = Upkeep(
        home=home,
        database=Database.open(home.database),
        clock=clock,
        monotonic=lambda: seconds,
    )
    at_first = names(home)
    keeper.step()
    assert names(home) == at_first
    seconds += FIRST_SECONDS
    sizes = []
    for _ in range(8):
        keeper.step()
        sizes.append(len(names(home)))
    assert sizes[0] == len(at_first) - 5
    assert sizes[-1] == sizes[-2] < sizes[1]
    clock.pass_seconds(RENEWED.total_seconds())
    Repository(home, clock).refresh_timestamp()
    clock.pass_seconds(20 * KEPT.total_seconds())
    grown = len(names(home))
    keeper.step()
    assert len(names(home)) == grown
    seconds += REST_SECONDS
    keeper.step()
    assert len(names(home)) < grown


def test_a_running_service_forgets_by_itself(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "FIRST_SECONDS", 0.0)
    repository = Repository(home, Clock())
    for number in range(3):
        repository.publish_plan(plan(number, Clock()))
    for file in home.repository.rglob("*.json"):
        os.utime(file, (0, 0))
    with running(home):
        until(lambda: len(names(home, ".plan.json")) == 1, "old plans stayed")
    assert repository.plan().admitted_ppm == 2
