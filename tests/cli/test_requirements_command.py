"""`limpet requirements`: the table, one entry, JSON, and what an unknown id gives."""

import json
from pathlib import Path

import pytest

from limpet.cli.main import run
from limpet.requirements import load_register, load_statements

SPECIMEN_TREE = Path(__file__).parents[1] / "requirements" / "specimens" / "tree"


def test_the_table_has_a_row_for_each_statement(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["requirements"]) == 0
    lines = capsys.readouterr().out.splitlines()
    first_words = [line.split()[0] for line in lines if line.startswith("R")]
    assert first_words == [statement.id for statement in load_statements()]


def test_the_table_as_json_carries_statements_and_pointers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["requirements", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    register = load_register()
    assert len(records) == 65
    for record in records:
        entry = register[record["id"]]
        assert [p["pointer"] for p in record["code"]] == list(entry.code or ())
        assert all(p["at"] and not p["dangling"] for p in record["code"])


def test_one_entry_shows_its_text_and_says_not_yet_where_nothing_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    entry = load_register()["R3.1c"]
    assert run(["requirements", "show", "r3.1C"]) == 0
    text = capsys.readouterr().out
    assert "R3.1c  MAY  Randomness sources combined" in text
    lists = [entry.code, entry.tests, entry.audit, entry.documents]
    assert text.count("not yet") == lists.count(None)


def test_an_unknown_id_is_one_clear_error_with_the_nearest_ids(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["requirements", "show", "R2.2.3x"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("limpet: error: there is no statement 'R2.2.3x'\n  hint: nearest: R2.2.3")


def test_verify_names_each_dangling_pointer_and_ends_with_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    register = load_register()
    expected = sum(len(e.code or ()) + len(e.tests or ()) for e in register.values())
    assert expected > 0, "the register points at nothing, so this test would show nothing"
    assert run(["requirements", "verify", "--root", str(SPECIMEN_TREE), "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)) >= expected


def test_verify_of_a_directory_that_is_no_tree_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["requirements", "verify", "--root", str(tmp_path)]) == 3
    assert "--root DIRECTORY" in capsys.readouterr().err
