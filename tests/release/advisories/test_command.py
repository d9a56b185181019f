"""`limpet release advisories`, as it is typed."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.release.advisories.records import DUMP, HOSTILE, record, write_directory

from limpet.cli._release_advisories import default_advisories
from limpet.cli.main import run
from limpet.errors import Unavailable
from limpet.release.advisories import AdvisoryStore, Triage, judge_vulnerabilities, look_up

COMMAND = ("release", "advisories")


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "advisories.sqlite"
    monkeypatch.setenv("LIMPET_ADVISORIES", str(path))
    return path


def test_without_a_database_the_command_says_how_to_get_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(COMMAND) == 3
    told = capsys.readouterr().err
    assert "there is no database of advisories" in told
    assert "hint: import one: limpet release advisories --import DIR|ZIP" in told


def test_an_import_shows_what_came_and_how_old_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*COMMAND, "--import", str(DUMP)]) == 0
    told = capsys.readouterr().out
    assert "Debian, PyPI: 10 records read, 10 new, 0 changed, 0 as before" in told
    assert [line.split()[:3] for line in told.splitlines() if line.startswith("PyPI ")] == [
        ["PyPI", "8", "2026-11-20"]
    ]
    assert run([*COMMAND, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["advisories"] == 10
    assert shown["digest"] in told
    assert [one["ecosystem"] for one in shown["ecosystems"]] == ["Debian", "PyPI"]


@pytest.mark.parametrize(
    ("age", "silence", "why"),
    [
        (timedelta(days=6.9), timedelta(days=29.9), ""),
        (timedelta(days=7.1), timedelta(days=8), "was imported on"),
        (timedelta(hours=1), timedelta(days=30.1), "the newest advisory of PyPI is of"),
        (-timedelta(days=1), timedelta(hours=1), "in the future: a clock is wrong"),
    ],
    ids=["fresh", "imported long ago", "an old dump", "a wrong clock"],
)
def test_data_that_the_gate_does_not_believe_are_said_to_be_stale_and_what_to_do(
    store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    age: timedelta,
    silence: timedelta,
    why: str,
) -> None:
    now = datetime.now(UTC)
    newest = record("PYSEC-2026-9", "made-up", modified=f"{now - silence:%Y-%m-%dT%H:%M:%SZ}")
    dump = write_directory(tmp_path / "PyPI", newest)
    AdvisoryStore.import_osv(store, dump, now=now - age)

    assert run(COMMAND) == 0
    told = capsys.readouterr().out
    assert f"{age / timedelta(days=1):.1f} days ago" in told
    assert run([*COMMAND, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    (one,) = shown["ecosystems"]
    assert one["age_days"] == pytest.approx(age / timedelta(days=1), abs=0.1)
    assert one["silent_days"] == pytest.approx(silence / timedelta(days=1), abs=0.1)
    assert (shown["max_age_days"], shown["max_silent_days"]) == (7.0, 30.0)
    # Never another word than the gate's.
    judged = judge_vulnerabilities(look_up(store, ()), (), Triage(), now)
    assert [found.reason for found in judged] == ([one["stale"]] if why else [])
    assert shown["stale"] is bool(why)
    assert why in one["stale"]
    assert ("the gate is inconclusive" in told) is bool(why)
    assert one["stale"] in told
    assert ("import a dump of today" in told) is bool(why)
    assert bool(shown["hint"]) is bool(why)


def test_records_that_could_not_be_read_give_status_1_and_cannot_drive_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "dump"
    shutil.copytree(DUMP / "PyPI", source)
    shutil.copy(HOSTILE / "not-json.json", source / "a\x1b[2J.json")
    assert run([*COMMAND, "--import", str(source)]) == 1
    told = capsys.readouterr().out
    assert "1 record could not be read, so the gate is inconclusive" in told
    assert "\x1b" not in told
    assert run([*COMMAND, "--import", str(DUMP / "PyPI"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["imported"]["refused"] == []


def test_the_ecosystem_may_be_named_and_must_be_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "flat"
    source.mkdir()
    for path in DUMP.glob("*/*.json"):
        shutil.copy(path, source)
    assert run([*COMMAND, "--import", str(source)]) == 1
    assert "--ecosystem PyPI --ecosystem Debian" in capsys.readouterr().err
    assert run([*COMMAND, "--import", str(source), "--ecosystem", "Go"]) == 1
    assert run([*COMMAND, "--import", str(source), "--ecosystem", "PyPI"]) == 0


def test_the_database_is_where_the_environment_says() -> None:
    assert default_advisories({"LIMPET_ADVISORIES": "a", "HOME": "b"}) == Path("a")
    data = {"XDG_DATA_HOME": "/data", "HOME": "/h"}
    assert default_advisories(data) == Path("/data/limpet/advisories.sqlite")
    relative = {"XDG_DATA_HOME": "data", "HOME": "/h"}
    assert default_advisories(relative) == Path("/h/.local/share/limpet/advisories.sqlite")
    with pytest.raises(Unavailable):
        default_advisories({})
