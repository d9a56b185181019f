"""Looks at a real vendor's directory: what opens, what closes, and what must not."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from tests.release.advisories.records import pypi
from tests.release.watch.workshop import MODEL, NOW, Field, advisory

from limpet.errors import Rejected, Unavailable
from limpet.release.advisories import VexStatement, VexStatus
from limpet.release.watch import Closing, Statements
from limpet.vendor.repository import Repository
from limpet.wire.rollout import Plan, PlanState


@pytest.fixture
def place(tmp_path: Path) -> Field:
    return Field(tmp_path)


def test_a_look_without_findings_passes_and_is_recorded_in_public(place: Field) -> None:
    place.publish("1.0.0", "parser@1.0")
    place.learn(advisory(fixed="0.9"))
    looked = place.look()
    assert (looked.exit_code, looked.entries, looked.troubles) == (0, (), ())
    record = place.record()
    assert record.looked_at == NOW
    assert record.conclusive
    assert [(one.version, one.components, one.looked_up) for one in record.releases] == [
        ("1.0.0", 1, True)
    ]
    assert record.digest
    assert record.ecosystems[0].name == "PyPI"


def test_a_new_advisory_opens_an_entry_with_releases_devices_and_severity(place: Field) -> None:
    place.publish("1.0.0", "parser@1.0")
    place.publish("1.1.0", "parser@1.1")
    place.run("1.0.0", 1, 2, 3)
    place.run("1.1.0", 4)
    place.learn(advisory(aliases=["CVE-2026-1"], summary="It reads too far."))
    looked = place.look()
    assert looked.exit_code == 1
    found = {one.version: one for one in looked.entries}
    assert set(found) == {"1.0", "1.1"}
    assert found["1.0"].releases == ("1.0.0",)
    assert (found["1.0"].devices, found["1.1"].devices) == (3, 1)
    assert found["1.0"].severity == "critical"
    assert found["1.0"].fixable
    assert found["1.0"].fix == "update parser to 2.0"
    assert found["1.0"].opened_at == NOW
    assert set(looked.opened) == {one.id for one in looked.entries}


def test_the_public_record_counts_and_names_nothing(place: Field) -> None:
    place.publish("1.0.0", "parser@1.0")
    place.learn(advisory("PYSEC-SECRET", summary="a secret of ours"))
    place.look()
    text = (place.home.public / "watch/watch.json").read_text()
    assert "SECRET" not in text
    assert "parser" not in text
    assert "secret" not in text
    record = place.record()
    assert record.open == {"critical": 1}
    assert record.open_fixable == 1
    assert record.oldest_fixable_at == NOW


def test_looking_twice_changes_nothing_but_the_time(place: Field) -> None:
    place.publish("1.0.0", "parser@1.0")
    place.learn(advisory())
    first = place.only()
    place.clock.pass_seconds(3600)
    second = place.look()
    assert second.opened == ()
    assert second.entries[0].opened_at == first.opened_at
    assert second.entries[0].id == first.id


def test_a_release_without_it_closes_the_entry_and_measures_until_devices_run_it(
    place: Field,
) -> None:
    place.publish("1.0.0", "parser@1.0")
    place.run("1.0.0", *range(10))
    place.learn(advisory())
    assert place.only().is_open
    place.clock.pass_seconds(3 * 86400)
    place.learn(advisory())
    place.publish("1.1.0", "parser@2.0")
    closed = place.only()
    assert closed.closing is Closing.FIXED
    assert closed.fixed_by == "1.1.0"
    assert closed.fix_published_at is not None
    assert closed.devices == closed.most_devices == 10
    assert closed.half_at is None
    marks = []
    for upto in (4, 5, 9, 10):
        place.clock.pass_seconds(3600)
        place.run("1.1.0", *range(upto))
        entry = place.only()
        marks.append((entry.half_at, entry.most_at, entry.all_at))
    hours = [NOW + timedelta(days=3, hours=one) for one in range(5)]
    assert marks == [
        (None, None, None),
        (hours[2], None, None),
        (hours[2], hours[3], None),
        (hours[2], hours[3], hours[4]),
    ]


def test_a_later_release_with_it_again_opens_the_entry_again(place: Field) -> None:
    place.publish("1.0.0", "parser@1.0")
    place.publish("1.1.0", "parser@2.0")
    place.learn(advisory())
    assert place.only().closing is Closing.FIXED
    place.publish("1.2.0", "parser@1.0")
    entry = place.only()
    assert entry.is_open
    assert entry.releases == ("1.0.0", "1.2.0")
    assert entry.fixed_by == ""


@pytest.mark.parametrize("age", [timedelta(days=8), timedelta(days=-2)], ids=["old", "future"])
def test_old_and_future_data_open_entries_and_close_none(place: Field, age: timedelta) -> None:
    place.publish("1.0.0", "parser@1.0")
    place.learn(advisory())
    place.look()
    place.publish("1.1.0", "parser@2.0")
    place.learn(advisory(), at=NOW - age)
    looked = place.look()
    assert looked.exit_code == 3
    assert [one.reason for one in looked.troubles] == ["advisories-stale"]
    assert looked.entries[0].is_open
    assert not place.record().conclusive
    place.learn(advisory())
    assert place.only().closing is Closing.FIXED  # else this test could not fail


def test_without_data_nothing_closes_and_it_says_so(place: Field) -> None:
    place.publish("1.0.0", "parser@1.0")
    place.learn(advisory())
    place.look()
    place.publish("1.1.0", "parser@2.0")
    place.store.unlink()
    looked = place.look()
    assert looked.exit_code == 3
    assert looked.entries[0].is_open
    assert [one.reason for one in looked.troubles] == ["advisories-missing"]
    assert place.record().digest is None
    place.store.write_bytes(b"no database")
    assert place.look().exit_code == 3


def test_a_damaged_or_missing_bill_of_materials_is_inconclusive_and_closes_nothing(
    place: Field,
) -> None:
    place.publish("1.0.0", "parser@1.0")
    place.learn(advisory())
    place.look()
    file = place.publish("1.1.0", "parser@2.0")
    good = file.read_bytes()
    file.write_bytes(good.replace(b"parser", b"harmls"))
    looked = place.look()
    assert (looked.exit_code, looked.entries[0].is_open) == (3, True)
    assert [(one.reason, one.version) for one in looked.troubles] == [("sbom-damaged", "1.1.0")]
    file.unlink()
    assert [one.reason for one in place.look().troubles] == ["sbom-missing"]
    file.write_bytes(good)
    assert place.only().closing is Closing.FIXED


def test_a_signed_bill_that_is_none_and_a_release_without_one_are_named(place: Field) -> None:
    place.publish("1.0.0", sbom=b'{"bomFormat": "CycloneDX"')
    place.publish_bare("1.1.0")
    place.learn(advisory())
    looked = place.look()
    assert looked.exit_code == 3
    assert [(one.reason, one.version) for one in looked.troubles] == [
        ("sbom-damaged", "1.0.0"),
        ("sbom-missing", "1.1.0"),
    ]
    assert [one.sbom is None for one in place.record().releases] == [False, True]


def test_an_unreadable_bill_does_not_count_as_a_device_that_was_saved(place: Field) -> None:
    old = place.publish("1.0.0", "parser@1.0")
    place.publish("1.1.0", "parser@2.0")
    place.run("1.0.0", 1, 2)
    place.learn(advisory())
    assert place.only().devices == 2
    old.unlink()
    entry = place.only()
    assert entry.devices == 2
    assert entry.half_at is None


def test_an_advisory_that_is_gone_closes_as_that_and_not_as_fixed(place: Field) -> None:
    place.publish("1.0.0", "parser@1.0")
    place.learn(advisory())
    place.look()
    place.learn(advisory(withdrawn=f"{NOW - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"))
    entry = place.only()
    assert entry.closing is Closing.GONE
    assert entry.fixed_by == ""


def test_a_whole_vex_statement_closes_as_excused_until_it_expires(place: Field) -> None:
    place.publish("1.0.0", "parser@1.0")
    place.learn(advisory())
    place.look()
    statement = VexStatement(
        names=frozenset({"PYSEC-1"}),
        component=pypi("parser", "1.0").purl,
        version="1.0",
        status=VexStatus.NOT_AFFECTED,
        justification="vulnerable_code_not_present",
        author="security team",
        at=NOW - timedelta(days=1),
        expires=NOW + timedelta(days=5),
        source="vex.json",
    )
    place.statements = {MODEL: Statements(vex=(statement,))}
    assert place.only().closing is Closing.EXCUSED
    place.clock.pass_seconds(6 * 86400)
    place.learn(advisory())
    assert place.only().is_open


def test_a_component_that_cannot_be_looked_up_closes_nothing(place: Field) -> None:
    place.publish("1.0.0", "parser@1.0")
    place.learn(advisory())
    place.look()
    place.publish("1.1.0", "parser@not/a:version")
    looked = place.look()
    assert looked.exit_code == 3
    assert looked.entries[0].is_open
    assert {one.reason for one in looked.troubles} == {"component-unmatched"}


def test_a_withdrawn_release_counts_only_while_devices_run_it(place: Field) -> None:
    place.publish("1.0.0", "parser@2.0")
    place.publish("1.1.0", "parser@1.0")
    place.learn(advisory())
    repository = Repository(place.home, place.clock)
    digest = repository.find_release("1.1.0").manifest_sha256
    place.run("1.1.0", 1)
    repository.publish_plan(
        Plan(model=MODEL, state=PlanState.IDLE, withdrawn=(digest,), issued_at=NOW)
    )
    looked = place.look()
    assert [one.release.version for one in looked.seen] == ["1.0.0", "1.1.0"]
    assert looked.entries[0].devices == 1
    place.run("1.0.0", 1)
    looked = place.look()
    assert [one.release.version for one in looked.seen] == ["1.0.0"]
    assert looked.entries[0].devices == 0


def test_a_clock_that_went_back_is_refused_and_nothing_is_written(place: Field) -> None:
    place.publish("1.0.0", "parser@1.0")
    place.learn(advisory())
    place.look()
    before = (place.home.public / "watch/watch.json").read_bytes()
    place.clock.pass_seconds(-86400)
    with pytest.raises(Unavailable, match="clock") as caught:
        place.look()
    assert caught.value.reason == "clock"
    assert (place.home.public / "watch/watch.json").read_bytes() == before
    looked = place.look(unsafe_clock_was_wrong=True)
    assert looked.entries[0].opened_at == place.clock()


def test_hostile_text_of_an_advisory_reaches_no_line_of_its_own(place: Field) -> None:
    place.publish("1.0.0", "parser@1.0")
    text = "\x1b[2Jgone\nlimpet: all is well\u202e <script>" + "x" * 5000
    place.learn(advisory(summary=text))
    entry = place.only()
    assert entry.summary.isprintable()
    assert len(entry.summary) <= 1000


def test_a_locked_database_is_unavailable_and_nothing_changes(
    place: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limpet.release.watch._store.BUSY_SECONDS", 0.2)
    place.publish("1.0.0", "parser@1.0")
    place.learn()
    place.look()
    before = (place.home.public / "watch/watch.json").read_bytes()
    place.learn(advisory())
    holder = sqlite3.connect(place.database, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable, match="locked"):
        place.look()
    assert (place.home.public / "watch/watch.json").read_bytes() == before
    holder.close()
    assert len(place.look().entries) == 1


def test_a_damaged_database_is_refused_by_name(place: Field) -> None:
    place.publish("1.0.0", "parser@1.0")
    place.learn(advisory())
    place.database.write_bytes(b"no database at all" * 100)
    with pytest.raises(Rejected, match=r"watch\.sqlite") as caught:
        place.look()
    assert caught.value.reason == "damaged"
