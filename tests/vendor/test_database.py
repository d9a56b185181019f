"""The vendor's one database: what a person reads when it is held, empty or damaged."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event
from tests.vendor.workshop import NOW

from limpet.errors import Rejected, Unavailable
from limpet.vendor.store import Database, Devices, Outcomes, Rings, Rollouts, _database


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "limpet.sqlite"
    Database.create(path).close()
    return path


def test_a_database_that_another_holds_is_waited_for_and_then_said(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_database, "BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        database = Database.open(file)  # it only looks, and waits for nobody
        with (
            pytest.raises(Unavailable, match="locked") as caught,
            database.transaction(),
        ):
            pass
    assert "try again" in caught.value.hint
    Database.open(file).close()


def test_an_empty_database_is_damage_and_not_another_version(file: Path) -> None:
    file.write_bytes(b"")
    with pytest.raises(Rejected, match="is empty") as caught:
        Database.open(file)
    assert "backup" in caught.value.hint


def test_damage_is_told_in_one_line_however_much_sqlite_says(file: Path) -> None:
    content = bytearray(file.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 8] = b"\xff" * 8
    file.write_bytes(content)
    with pytest.raises(Rejected, match="damaged") as caught:
        Database.open(file)
    assert "\n" not in caught.value.message


def test_a_database_of_the_first_schema_is_migrated_with_its_canaries(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as old:
        for table in ("ring_members", "rings"):
            old.execute(f"DROP TABLE {table}")
        old.execute("DROP INDEX attempts_failed")
        old.execute("ALTER TABLE rollouts DROP COLUMN test")
        old.execute("ALTER TABLE rollouts DROP COLUMN report_ppm")
        old.execute("ALTER TABLE rollouts RENAME COLUMN rings TO canaries")
        old.execute("ALTER TABLE devices DROP COLUMN certificates_folded")
        old.execute("PRAGMA user_version = 1")
        for version, canaries in (("1.0.0", "[]"), ("1.1.0", '["TH-1","TH-2"]')):
            old.execute(
                "INSERT INTO rollouts (model, version, manifest_sha256, state, canaries, steps,"
                " step, silent_seconds, started_at, step_at, counted_from, reason, revision,"
                " published)"
                " VALUES ('m', ?, 'd', 'running', ?, '[]', 0, 1, 0, 0, 0, '', 1, 1)",
                (version, canaries),
            )
    database = Database.open(file)
    with database.transaction() as connection:
        row = Rollouts(connection).latest("m")
        assert row is not None
        assert row.canaries == ("TH-1", "TH-2")
        assert row.test.intolerable == 0.2
        assert row.report_ppm == 1_000_000
        assert Rollouts(connection).get(1).rings == ()
        Rings(connection, "m").put("lab")
        Rings(connection, "m").join("TH-1", "lab")
        assert Rings(connection, "m").remove("lab")
        assert Rings(connection, "m").all() == ()
    database.close()
    Database.open(file).close()


def test_an_old_database_becomes_the_one_that_a_new_vendor_has(file: Path, tmp_path: Path) -> None:
    def indexes(of: Path) -> set[str]:
        with closing(sqlite3.connect(of)) as connection:
            found = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'index'")
            return {" ".join(sql.split()) for (sql,) in found if sql}

    new = indexes(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as old:
        old.execute("DROP INDEX attempts_failed")
        old.execute("ALTER TABLE devices DROP COLUMN certificates_folded")
        old.execute("PRAGMA user_version = 3")
    Database.open(file).close()
    assert indexes(file) == new


def test_years_of_successes_are_not_read_to_find_who_failed(file: Path) -> None:
    asked: list[str] = []
    database = Database.open(file)
    event.listen(database._engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
    with database.transaction() as connection:
        Outcomes(connection).failures_elsewhere("a" * 64)
    database.close()
    [query] = [text for text in asked if "attempts" in text]
    with closing(sqlite3.connect(file)) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {query}", ("a" * 64,)).fetchall()
    [look] = [row[3] for row in plan if "attempts" in row[3]]
    assert "INDEX attempts_failed" in look, look


def test_who_reads_waits_for_no_writer_and_holds_none_up(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_database, "BUSY_SECONDS", 0.1)
    database = Database.open(file)
    with database.reading() as reading:
        assert Devices(reading).all() == []
        with database.transaction() as writing:
            Devices(writing).see("TH-1", "m", now=NOW)
            with database.reading() as other:
                assert Devices(other).all() == []
        assert Devices(reading).all() == []  # of one moment, to its end
    with database.reading() as reading:
        assert [row.serial for row in Devices(reading).all()] == ["TH-1"]


def test_who_reads_can_write_nothing(file: Path) -> None:
    database = Database.open(file)
    with pytest.raises(Unavailable, match="readonly"), database.reading() as connection:
        Devices(connection).see("TH-1", "m", now=NOW)
    with database.transaction() as connection:
        assert Devices(connection).all() == []
        Devices(connection).see("TH-1", "m", now=NOW)
