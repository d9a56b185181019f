"""`limpet release advisories`, as it is typed."""

import json
import shutil
from pathlib import Path

import pytest
from tests.release.advisories.records import DUMP, HOSTILE

from limpet.cli._release_advisories import default_advisories
from limpet.cli.main import run
from limpet.errors import Unavailable

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
