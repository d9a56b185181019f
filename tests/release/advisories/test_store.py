"""The store of advisories: what an import takes, what it refuses, and what it leaves behind."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import time
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from tests.release.advisories.records import (
    DUMP,
    HOSTILE,
    NOW,
    ask,
    bring,
    ids,
    pypi,
    record,
    write_directory,
    write_zip,
)

from limpet.errors import Rejected, Unavailable
from limpet.release.advisories import AdvisoryStore, Bounds

MIB = 1024 * 1024


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "data" / "advisories.sqlite"


def left_in(store: Path) -> list[str]:
    return sorted(path.name for path in store.parent.iterdir() if not path.name.endswith(".lock"))


def digest(store: Path) -> str:
    with AdvisoryStore.open(store) as opened:
        return opened.facts.digest


def test_the_same_advisories_give_the_same_digest_from_a_directory_and_from_zips(
    store: Path, tmp_path: Path
) -> None:
    one = bring(store, DUMP)
    mirror = tmp_path / "mirror"
    for ecosystem in ("PyPI", "Debian"):
        records = [json.loads(path.read_text()) for path in (DUMP / ecosystem).iterdir()]
        write_zip(mirror / ecosystem / "all.zip", *records)
    other = bring(tmp_path / "other.sqlite", mirror)
    assert one.added == other.added == 10
    assert one.withdrawn == 1
    assert one.ecosystems == ("Debian", "PyPI")
    assert one.facts.digest == other.facts.digest == digest(store)
    assert one.facts.ecosystems["Debian"].advisories == 2
    assert one.facts.ecosystems["Debian"].imported_at == NOW


def test_an_import_again_changes_nothing_but_its_time(store: Path) -> None:
    before = bring(store, DUMP)
    again = bring(store, DUMP, now=NOW + timedelta(days=1))
    assert (again.added, again.changed, again.unchanged) == (0, 0, 10)
    assert again.facts.digest == before.facts.digest
    assert again.facts.imported_at == NOW + timedelta(days=1)


def test_an_unchanged_entry_of_a_zip_is_not_even_read(store: Path, tmp_path: Path) -> None:
    archive = write_zip(
        tmp_path / "all.zip", record("T-1"), record("T-2"), method=zipfile.ZIP_STORED
    )
    bring(store, archive)
    data = archive.read_bytes()
    archive.write_bytes(data.replace(b'"id": "T-1"', b'"id": "T-9"', 1))  # its CRC is now wrong
    assert bring(store, archive).unchanged == 2
    fresh = bring(tmp_path / "fresh.sqlite", archive)
    assert [(one.entry, one.reason) for one in fresh.refused] == [("T-1.json", "damaged")]


def test_a_later_record_replaces_an_earlier_one_and_never_the_other_way(
    store: Path, tmp_path: Path
) -> None:
    source = tmp_path / "dump"
    wide = record("T-1", "a", modified="2026-11-20T08:00:00Z")
    other = record("T-1", "b", modified="2026-11-21T08:00:00Z")
    bring(store, write_directory(source, wide))
    assert ids(ask(store, pypi("a", "1.0"))) == {"T-1"}
    assert bring(store, write_directory(source, other)).changed == 1
    assert ids(ask(store, pypi("a", "1.0"), pypi("b", "1.0"))) == {"T-1"}
    assert ask(store, pypi("b", "1.0")).hits
    assert bring(store, write_directory(source, wide)).unchanged == 1
    assert not ask(store, pypi("a", "1.0")).hits


def test_a_record_that_is_withdrawn_later_no_longer_hits(store: Path, tmp_path: Path) -> None:
    source = tmp_path / "dump"
    bring(store, write_directory(source, record("T-1")))
    gone = record("T-1", modified="2026-11-22T00:00:00Z", withdrawn="2026-11-22T00:00:00Z")
    report = bring(store, write_directory(source, gone))
    assert report.withdrawn == 1
    assert not ask(store, pypi("a", "1.0")).hits


@pytest.mark.parametrize("path", sorted(HOSTILE.iterdir()), ids=lambda path: path.stem)
def test_a_hostile_record_is_named_and_refused_and_the_others_are_taken(
    path: Path, store: Path, tmp_path: Path
) -> None:
    source = write_directory(tmp_path / "dump", record("T-1"))
    assert bring(store, source).refused_count == 0
    shutil.copy(path, source)
    report = bring(store, source, ecosystems=["PyPI"])
    assert [one.entry for one in report.refused] == [path.name]
    assert report.refused[0].reason in ("malformed", "clock")
    with AdvisoryStore.open(store) as opened:
        assert opened.facts.refused == (path.name,)
    (source / path.name).unlink()
    assert bring(store, source).facts.refused_count == 0


def test_a_bomb_is_refused_by_what_comes_out_of_it_not_by_what_it_says(
    store: Path, tmp_path: Path
) -> None:
    archive = write_zip(tmp_path / "all.zip", record("T-1"))
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("T-2.json", b" " * (64 * MIB))
        opened.writestr("T-3.json", b" " * (64 * MIB))
    data = archive.read_bytes()
    # The second one says, in both of its headers, that it is small.
    size = struct.pack("<I", 64 * MIB)
    at = data.index(b"T-3.json")
    first = data.index(size, at - 30)
    last = data.rindex(size)
    lying = bytearray(data)
    for place in (first, last):
        lying[place : place + 4] = struct.pack("<I", 100)
    archive.write_bytes(bytes(lying))
    report = bring(store, archive, bounds=Bounds(entry_bytes=MIB))
    refused = {one.entry: one.reason for one in report.refused}
    assert refused == {"T-2.json": "too-large", "T-3.json": "damaged"}
    assert report.added == 1


def test_many_small_bombs_end_the_import_and_leave_the_old_store(
    store: Path, tmp_path: Path
) -> None:
    bring(store, DUMP)
    before = store.read_bytes()
    padded = [record(f"T-{number}", details=" " * MIB) for number in range(8)]
    archive = write_zip(tmp_path / "all.zip", *padded)
    assert archive.stat().st_size < MIB
    with pytest.raises(Rejected) as refused:
        bring(store, archive, bounds=Bounds(total_bytes=4 * MIB))
    assert refused.value.reason == "too-large"
    assert store.read_bytes() == before
    assert left_in(store) == ["advisories.sqlite"]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_zip_that_was_cut_off_is_refused_whole(share: float, store: Path, tmp_path: Path) -> None:
    bring(store, DUMP)
    before = digest(store)
    archive = write_zip(tmp_path / "all.zip", *(record(f"T-{number}") for number in range(40)))
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(Rejected) as refused:
        bring(store, archive)
    assert refused.value.reason == "damaged"
    assert digest(store) == before


def test_a_dump_with_less_than_the_store_has_is_not_taken_for_a_fresh_one(
    store: Path, tmp_path: Path
) -> None:
    source = write_directory(tmp_path / "dump", *(record(f"T-{number}") for number in range(20)))
    bring(store, source)
    shutil.rmtree(source)
    half = write_directory(source, *(record(f"T-{number}") for number in range(10)))
    with pytest.raises(Rejected, match="it has 10 advisories of PyPI, the store has 20") as refused:
        bring(store, half)
    assert refused.value.reason == "not-whole"
    whole = write_directory(source, *(record(f"T-{number}") for number in range(10, 20)))
    assert bring(store, whole).unchanged == 20


def test_records_that_name_another_ecosystem_too_do_not_make_it_imported(
    store: Path, tmp_path: Path
) -> None:
    both = record("T-1")
    extra = record("T-1", "left", ecosystem="npm", kind="SEMVER")
    both["affected"] = [*both["affected"], *extra["affected"]]  # type: ignore[misc]
    source = write_directory(tmp_path / "dump", both, record("T-2"))
    assert bring(store, source).ecosystems == ("PyPI",)
    alone = write_directory(tmp_path / "alone", both)
    assert bring(tmp_path / "alone.sqlite", alone).ecosystems == ("PyPI", "npm")


def test_a_dump_that_does_not_show_of_what_it_is_whole_must_be_told(
    store: Path, tmp_path: Path
) -> None:
    mixed = write_directory(tmp_path / "dump", record("T-1"), record("T-2", ecosystem="Debian:12"))
    with pytest.raises(Rejected) as refused:
        bring(store, mixed)
    assert refused.value.reason == "which-ecosystem"
    assert not store.exists()
    assert bring(store, mixed, ecosystems=["PyPI"]).ecosystems == ("PyPI",)
    assert bring(store, mixed, ecosystems=["*"]).ecosystems == ("Debian", "PyPI")
    with pytest.raises(Rejected, match="no advisory of Go"):
        bring(store, mixed, ecosystems=["Go"])


def test_what_is_no_dump_is_refused_with_what_to_do(store: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="neither a directory nor a file"):
        bring(store, tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Rejected, match=r"no \.json file"):
        bring(store, tmp_path / "empty")
    text = tmp_path / "text"
    text.write_text("no archive")
    with pytest.raises(Rejected, match="no whole ZIP"):
        bring(store, text)
    nothing = write_zip(tmp_path / "nothing.zip")
    with pytest.raises(Rejected, match=r"no \.json file"):
        bring(store, nothing)
    assert not store.exists()


def test_a_link_out_of_the_dump_is_not_followed(store: Path, tmp_path: Path) -> None:
    source = write_directory(tmp_path / "dump", record("T-1"))
    outside = write_directory(tmp_path / "outside", record("T-2"))
    (source / "T-2.json").symlink_to(outside / "T-2.json")
    os.mkfifo(source / "T-3.json")
    report = bring(store, source)
    assert {one.entry for one in report.refused} == {"T-2.json", "T-3.json"}
    assert report.added == 1


def test_a_missing_an_empty_and_another_file_are_no_store(store: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="there is no database of advisories"):
        AdvisoryStore.open(store)
    other = tmp_path / "other"
    for content in (b"", b"text" * 1000):
        other.write_bytes(content)
        with pytest.raises(Rejected) as refused:
            AdvisoryStore.open(other)
        assert refused.value.reason == "damaged"
    with contextlib.closing(sqlite3.connect(tmp_path / "foreign")) as foreign:
        foreign.execute("CREATE TABLE advisory (id)")
        foreign.commit()
    with pytest.raises(Rejected, match="no database of advisories"):
        AdvisoryStore.open(tmp_path / "foreign")


def test_a_row_that_was_taken_out_or_changed_is_found_on_opening(store: Path) -> None:
    bring(store, DUMP)
    whole = store.read_bytes()
    for change in (
        "DELETE FROM affected WHERE id = 'TEST-2026-0001'",
        "UPDATE affected SET name = 'other' WHERE id = 'TEST-2026-0001'",
        "UPDATE advisory SET withdrawn = 1 WHERE id = 'TEST-2026-0001'",
        "UPDATE coverage SET newest = '2026-11-27T00:00:00.000000+00:00'",
        "DELETE FROM release",
    ):
        store.write_bytes(whole)
        with contextlib.closing(sqlite3.connect(store)) as spoiled:
            spoiled.execute(change)
            spoiled.commit()
        with pytest.raises(Rejected) as refused:
            AdvisoryStore.open(store)
        assert refused.value.reason == "damaged", change


def test_no_flipped_byte_gives_a_wrong_answer(store: Path) -> None:
    bring(store, DUMP)
    expected = ids(ask(store, pypi("made-up-parser", "1.0"), pypi("made-up-server", "1.0")))
    whole = store.read_bytes()
    assert len(expected) == 3
    for place in range(0, len(whole), 211):
        spoiled = bytearray(whole)
        spoiled[place] ^= 0x55
        store.write_bytes(bytes(spoiled))
        with contextlib.suppress(Rejected):
            got = ask(store, pypi("made-up-parser", "1.0"), pypi("made-up-server", "1.0"))
            assert ids(got) == expected, place


def test_a_damaged_store_is_begun_anew_by_an_import(store: Path) -> None:
    before = bring(store, DUMP)
    store.write_bytes(store.read_bytes()[:9000])
    after = bring(store, DUMP)
    assert after.added == 10
    assert after.facts.digest == before.facts.digest


def test_who_has_the_store_open_keeps_the_old_state_while_it_is_replaced(
    store: Path, tmp_path: Path
) -> None:
    bring(store, write_directory(tmp_path / "dump", record("T-1")))
    with AdvisoryStore.open(store) as opened:
        bring(store, write_directory(tmp_path / "dump", record("T-1"), record("T-2")))
        assert [found.advisory.id for found in opened.find(("PyPI",), "a")] == ["T-1"]
    assert ids(ask(store, pypi("a", "1"))) == {"T-1", "T-2"}


def test_a_second_import_at_the_same_time_is_turned_away(store: Path) -> None:
    bring(store, DUMP)
    tried = []

    def also(note: str) -> None:
        with pytest.raises(Unavailable, match="another import") as refused:
            bring(store, DUMP)
        tried.append(refused.value)

    bring(store, DUMP, progress=also)
    assert tried


IMPORT = """
import sys, datetime, pathlib
from limpet.release.advisories import AdvisoryStore
now = datetime.datetime.fromisoformat(sys.argv[3])
print("begun", flush=True)
AdvisoryStore.import_osv(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), now=now)
print("done", flush=True)
"""


def test_an_import_that_is_killed_leaves_the_old_store_or_the_new_one(
    store: Path, tmp_path: Path
) -> None:
    old = write_zip(tmp_path / "old.zip", *(record(f"T-{number}") for number in range(50)))
    new = write_zip(
        tmp_path / "new.zip",
        *(record(f"T-{number}", modified="2026-11-25T00:00:00Z") for number in range(4000)),
    )
    before = bring(store, old).facts.digest
    after = bring(tmp_path / "expected.sqlite", new).facts.digest
    kept = store.read_bytes()
    seen = set()
    delay = 0.0
    while len(seen) < 2 and delay < 30:
        store.write_bytes(kept)
        command = [sys.executable, "-c", IMPORT, str(store), str(new), NOW.isoformat()]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        seen.add(digest(store))
        assert seen <= {before, after}, delay
        delay = 0.05 if not delay else delay * 2.5
    assert seen == {before, after}, "no kill fell before the end, or none after"
    bring(store, new)
    assert left_in(store) == ["advisories.sqlite"], "what a killed import left was not removed"
