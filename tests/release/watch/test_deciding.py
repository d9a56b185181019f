"""What a look makes of the entries, over made-up histories: laws that no order of events breaks."""

from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.release.advisories.records import pypi
from tests.release.watch.workshop import MODEL, NOW

from limpet.release.advisories import Hit, Judged, Outcome, StoreFacts
from limpet.release.watch import Closing, Entry
from limpet.release.watch._decide import decide_entries
from limpet.release.watch._types import FieldRelease, Seen, Sight

VERSIONS = ("1.0.0", "1.1.0", "1.2.0")


def seen(version: str, parser: str, *, newest: bool, whole: bool, vulnerable: bool) -> Seen:
    release = FieldRelease(
        model=MODEL, version=version, sbom="0" * 64, published_at=NOW, newest=newest
    )
    component = pypi("parser", parser)
    hit = Hit(advisory="PYSEC-1", component=component, modified=NOW, fixed_versions=("2.0",))
    judged = Judged(
        outcome=Outcome.BLOCKS_FIXABLE,
        reason="x",
        advisory="PYSEC-1",
        component=component,
        hit=hit,
    )
    return Seen(release=release, components=1, judged=(judged,) if vulnerable else (), whole=whole)


@st.composite
def sights(draw: st.DrawFn) -> list[Sight]:
    """A history: releases come, become vulnerable or not, cannot be read; devices move."""
    facts = StoreFacts(advisories=1, ecosystems={}, digest="0" * 64)
    found = []
    now: datetime = NOW
    for _ in range(draw(st.integers(1, 6))):
        now += timedelta(hours=draw(st.integers(0, 48)))
        count = draw(st.integers(0, 3))
        known = draw(st.booleans())
        releases = tuple(
            seen(
                version,
                f"1.{number}" if draw(st.booleans()) else "1.0",
                newest=number == count - 1,
                whole=known and draw(st.booleans()),
                vulnerable=known and draw(st.booleans()),
            )
            for number, version in enumerate(VERSIONS[:count])
        )
        devices = {(MODEL, one): draw(st.integers(0, 9)) for one in VERSIONS}
        unsupported = frozenset({MODEL} if not count and draw(st.booleans()) else ())
        found.append(
            Sight(
                now=now,
                seen=releases,
                devices=devices,
                unsupported=unsupported,
                facts=facts if known else None,
            )
        )
    return found


@settings(max_examples=300, deadline=None)
@given(sights())
def test_no_history_breaks_the_laws_of_an_entry(history: list[Sight]) -> None:
    before: tuple[Entry, ...] = ()
    for sight in history:
        after = decide_entries(before, sight)
        assert decide_entries(after, sight) == after  # looking again changes nothing
        known = {one.id: one for one in before}
        assert set(known) <= {one.id for one in after}  # nothing is forgotten
        for entry in after:
            old = known.get(entry.id)
            hold_laws(entry, old, sight)
        before = after


def hold_laws(entry: Entry, old: Entry | None, sight: Sight) -> None:
    assert entry.opened_at == (old.opened_at if old else sight.now)
    assert entry.most_devices >= max(entry.devices, old.most_devices if old else 0)
    assert entry.is_open == (entry.closed_at is None)
    assert (entry.closing is Closing.FIXED) == bool(entry.fixed_by)
    newest = next((one for one in sight.seen if one.release.newest), None)
    if newest is not None and newest.hits and entry.seen_at == sight.now:
        assert entry.is_open  # the newest release has it
    if entry.closing in (Closing.FIXED, Closing.GONE) and (old is None or old.is_open):
        assert newest is not None  # closed now: by a whole look at the newest, which is without it
        assert newest.whole
        assert not newest.hits
    if entry.fixed_by:
        assert entry.fixed_by not in entry.releases
    marks = [entry.half_at, entry.most_at, entry.all_at]
    reached = [one for one in marks if one is not None]
    assert marks[: len(reached)] == reached  # none before the one that needs fewer devices
    assert reached == sorted(reached)
    assert not reached or entry.closing is Closing.FIXED


def test_a_release_that_turns_out_to_have_it_was_no_fix() -> None:
    facts = StoreFacts(advisories=1, ecosystems={}, digest="0" * 64)
    old = seen("1.0.0", "1.0", newest=False, whole=True, vulnerable=True)
    fix = seen("1.1.0", "1.0", newest=True, whole=True, vulnerable=False)
    first = Sight(now=NOW, seen=(old, fix), devices={}, facts=facts)
    (entry,) = decide_entries((), first)
    assert entry.fixed_by == "1.1.0"
    no_fix = seen("1.1.0", "1.0", newest=False, whole=True, vulnerable=True)
    newer = seen("1.2.0", "2.0", newest=True, whole=True, vulnerable=False)
    later = NOW + timedelta(days=1)
    second = Sight(now=later, seen=(old, no_fix, newer), devices={}, facts=facts)
    (again,) = decide_entries((entry,), second)
    assert (again.fixed_by, again.opened_at, again.closed_at) == ("1.2.0", NOW, later)
