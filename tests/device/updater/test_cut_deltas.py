"""Somebody who lets all pass but the deltas: no update waits for one without end.

Over real TLS, with the updater started anew for each check: what counts is what it wrote down.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.device.updater.attacks import Case
from tests.device.updater.bench import Bench
from tests.device.updater.mirror import Asked, Mirror, mirror_of
from tests.device.updater.signed_delta import Made, Streams, offer_by_delta
from tests.device.updater.simulator import RepositorySimulator
from tests.device.updater.test_bad_servers import answers
from tests.device.updater.test_delta_surroundings import (
    Behaviour,
    honest,
    make_impatient,
    serving,
    silent,
)
from tests.firmware.deltas.make import LITERAL, delta, op, segment
from tests.https.conftest import Identity, identity

from limpet.device.updater.check import CheckResult, Outcome
from limpet.device.updater.way import FRUITFUL_CUT, FRUITLESS_CUT, MAX_CUTS, load_record
from limpet.firmware.tree import digest_tree

__all__ = ["identity"]

GROUPS = 11
SILENT_CHECKS = MAX_CUTS // FRUITLESS_CUT
SLOWEST_CHECKS = MAX_CUTS // FRUITFUL_CUT


def resets(mirror: Mirror, asked: Asked) -> None:
    asked.cut()


def gives_the_index(mirror: Mirror, asked: Asked) -> None:
    """Bytes come at each check, but none that is worth anything."""
    send_to(mirror, asked, 80)


def send_to(mirror: Mirror, asked: Asked, end: int) -> None:
    part = mirror.data[asked.first : end]
    asked.say(
        "206 Partial Content",
        f"content-range: bytes {asked.first}-{asked.end - 1}/{len(mirror.data)}",
        f"content-length: {asked.end - asked.first}",
        body=part,
    )
    raise ConnectionError


class Fleet:
    """A device whose deltas somebody holds up; `checks` so far, and what each asked for."""

    def __init__(self, case: Case, identity: Identity) -> None:
        self.case, self.identity, self.asked_for = case, identity, []
        self.asked_for: list[str]

    def check(self, deltas: Behaviour) -> CheckResult:
        bench, self.asked_for[:] = self.case.bench, []
        serve = serving(self.case.repository, deltas, self.asked_for)
        with mirror_of(b"", self.identity, serve) as mirror:
            bench.source = mirror.source()
            return bench.check()

    def kinds(self) -> list[str]:
        return list(dict.fromkeys(self.asked_for))


@pytest.fixture
def fleet(
    bench: Bench,
    repository: RepositorySimulator,
    work: Path,
    identity: Identity,
    monkeypatch: pytest.MonkeyPatch,
) -> Fleet:
    make_impatient(monkeypatch)
    return Fleet(Case(bench, repository, work), identity)


SERVERS: dict[str, Behaviour] = {
    "says nothing": silent,
    "resets the connection": resets,
    "gives the index and no more": gives_the_index,
    "fails": answers("500 Sorry"),
}


@pytest.mark.parametrize("server", SERVERS)
def test_a_delta_that_never_comes_holds_an_update_for_three_checks(
    fleet: Fleet, server: str
) -> None:
    offer_by_delta(fleet.case)
    for _ in range(SILENT_CHECKS - 1):
        assert fleet.check(SERVERS[server]).outcome is Outcome.UNAVAILABLE
        assert fleet.kinds() == ["deltas"]
        fleet.case.bench.assert_untouched()
    assert fleet.check(SERVERS[server]).outcome is Outcome.READY
    assert fleet.kinds() == ["deltas", "images"]
    assert_installed(fleet)


def test_a_server_that_is_busy_for_a_delta_is_left_alone_before_the_image_is_asked_for(
    fleet: Fleet,
) -> None:
    busy = answers("503 Busy", "retry-after: 120")
    offer_by_delta(fleet.case)
    for _ in range(SILENT_CHECKS):
        result = fleet.check(busy)
        assert (result.outcome, result.retry_after) == (Outcome.UNAVAILABLE, 120.0)
        assert fleet.kinds() == ["deltas"]
    assert fleet.check(busy).outcome is Outcome.READY
    assert fleet.kinds() == ["images"]
    assert_installed(fleet)


def test_a_line_that_breaks_twice_costs_the_delta_nothing(fleet: Fleet) -> None:
    """The control: the same cuts, and then an honest server."""
    offer_by_delta(fleet.case)
    for _ in range(SILENT_CHECKS - 1):
        assert fleet.check(resets).outcome is Outcome.UNAVAILABLE
    assert fleet.check(honest).outcome is Outcome.READY
    assert fleet.kinds() == ["deltas"]
    assert not (fleet.case.bench.root / "updater" / "delta.json").exists()
    assert_installed(fleet)


def test_the_next_releases_delta_is_tried_however_the_last_one_was_cut(fleet: Fleet) -> None:
    offer_by_delta(fleet.case)
    for _ in range(SILENT_CHECKS - 1):
        fleet.check(resets)
    offer_by_delta(fleet.case, version="1.2.0")
    assert fleet.check(resets).outcome is Outcome.UNAVAILABLE
    assert load_record(fleet.case.bench.root / "updater" / "delta.json").cuts == FRUITLESS_CUT
    assert fleet.check(honest).outcome is Outcome.READY
    assert fleet.kinds() == ["deltas"]


def test_one_group_a_check_holds_an_update_for_nine_checks(fleet: Fleet) -> None:
    """Somebody who knows the rule gives as little as counts as progress."""
    sizes = offer_many_groups(fleet.case)
    for number in range(1, SLOWEST_CHECKS):
        assert fleet.check(until(sizes, number)).outcome is Outcome.UNAVAILABLE, number
        assert fleet.kinds() == ["deltas"]
    assert fleet.check(until(sizes, SLOWEST_CHECKS)).outcome is Outcome.READY
    assert fleet.kinds() == ["deltas", "images"]
    assert_installed(fleet)


def until(sizes: list[int], groups: int) -> Callable[[Mirror, Asked], None]:
    """As many groups as that, in all."""
    return lambda mirror, asked: send_to(mirror, asked, sizes[groups])


def offer_many_groups(case: Case) -> list[int]:
    """A release of many groups, each a segment of its delta; where each ends, the index first."""
    new = case.work / "tree-1.3.0"
    shutil.copytree(case.bench.root / "slots" / "a", new)
    (new / "firmware.json").write_text(json.dumps({"version": "1.3.0", "longer": "than once"}))
    (new / "app" / "more.bin").write_bytes(bytes((GROUPS - 1) << 20))
    ends: list[int] = []

    def make(streams: Streams) -> Made:
        made, at = [], 0
        for size in streams.groups:  # all of it new: small, because it is zeros
            fresh = streams.new[at : at + size]
            made.append((1, segment(op(LITERAL, size), fresh)))
            at += size
        data, index_bytes = delta(*made)
        ends.append(index_bytes)
        for _, packed in made:
            ends.append(ends[-1] + len(packed))
        return data, index_bytes

    offer_by_delta(case, make, "1.3.0")
    assert len(ends) > SLOWEST_CHECKS + 1
    return ends


def assert_installed(fleet: Fleet) -> None:
    image = fleet.case.kept["image"]
    assert digest_tree(fleet.case.bench.root / "slots" / "b") == image.tree_sha256
