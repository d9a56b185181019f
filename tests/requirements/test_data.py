"""The statements and the register as data: what they hold, and what a broken file gives."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.errors import Rejected
from limpet.requirements import (
    Bearer,
    Level,
    PointerKind,
    Proof,
    find_statement,
    load_register,
    load_statements,
    parse_register,
    parse_statements,
)

STATEMENT = """
[[statement]]
id = "R2.2.3a"
section = "2.2.3"
title = "Floods"
level = "SHOULD"
bearer = ["device"]
asks = "Floods are tolerated."
proven = ["network"]
"""


def test_all_65_statements_are_carried_each_once() -> None:
    ids = [statement.id for statement in load_statements()]
    assert len(ids) == 65
    assert len(set(ids)) == 65


def test_the_key_words_are_counted_as_the_draft_has_them() -> None:
    levels = [statement.level for statement in load_statements()]
    assert {level: levels.count(level) for level in Level} == {
        Level.MUST: 19,
        Level.MUST_NOT: 2,
        Level.SHOULD: 27,
        Level.SHOULD_NOT: 4,
        Level.MAY: 5,
        Level.GOAL: 8,
    }


def test_an_id_is_made_from_its_section() -> None:
    for statement in load_statements():
        assert re.fullmatch(rf"R{re.escape(statement.section)}[a-z]?", statement.id)


def test_each_statement_has_a_bearer_and_a_way_of_proof() -> None:
    for statement in load_statements():
        assert set(statement.bearer) <= set(Bearer)
        assert statement.bearer
        assert set(statement.proven) <= set(Proof)
        assert statement.proven


def test_a_title_fits_into_a_table() -> None:
    assert max(len(statement.title) for statement in load_statements()) <= 50


def test_an_entry_without_lists_means_not_yet() -> None:
    entry = parse_register(b"[R1a]\n")["R1a"]
    assert [entry.pointers(kind) for kind in PointerKind] == [(), (), (), ()]


def test_the_register_cannot_be_changed_by_who_reads_it() -> None:
    register = load_register()
    with pytest.raises(TypeError):
        register["R9"] = register["R1a"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (STATEMENT.replace('"SHOULD"', '"OUGHT"'), "$.statement[0].level"),
        (STATEMENT.replace("title", "heading"), "unknown field `heading`"),
        (STATEMENT.replace('"device"', '"buyer"'), "$.statement[0].bearer[0]"),
        (STATEMENT.replace("R2.2.3a", "2.2.3a"), "$.statement[0].id"),
        (STATEMENT.replace('title = "Floods"\n', ""), "missing required field `title`"),
        (STATEMENT * 2, "R2.2.3a: listed more than once"),
        (STATEMENT + "[[statement", "not valid TOML"),
        ("", "missing required field `statement`"),
    ],
)
def test_a_broken_statements_file_is_refused_with_file_and_key(broken: str, told: str) -> None:
    with pytest.raises(Rejected) as refusal:
        parse_statements(broken.encode(), source="mine.toml")
    assert refusal.value.reason == "statements"
    assert refusal.value.message.startswith("mine.toml: ")
    assert told in refusal.value.message


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("[R1a]\ncode = []\n", "mine.toml: R1a: Expected `array` of length >= 1 - at `$.code`"),
        ('[R1a]\nproof = ["x"]\n', "mine.toml: R1a: Object contains unknown field `proof`"),
        ('[R1a]\ncode = "x"\n', "mine.toml: R1a: Expected `array | null`, got `str` - at `$.code`"),
        ('[R1a]\ntests = ["a", "a"]\n', "mine.toml: R1a.tests: a pointer is listed twice"),
        ("R1a = 3\n", "mine.toml: R1a: Expected `object`"),
        ("[R1a]\n[R1a]\n", "mine.toml: not valid TOML"),
    ],
)
def test_a_broken_register_is_refused_with_file_and_entry(broken: str, told: str) -> None:
    with pytest.raises(Rejected) as refusal:
        parse_register(broken.encode(), source="mine.toml")
    assert refusal.value.message.startswith(told)


def test_an_empty_list_is_met_with_what_to_do() -> None:
    with pytest.raises(Rejected) as refusal:
        parse_register(b"[R1a]\ncode = []\n")
    assert refusal.value.hint == "for `not yet`, leave the list out"


@given(st.binary(max_size=200) | st.text(alphabet='[]"=.\nR1acode', max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for parse in (parse_register, parse_statements):
        with contextlib.suppress(Rejected):
            parse(data)


def test_an_id_is_found_in_either_case() -> None:
    assert find_statement("r2.2.3A ", load_statements()).id == "R2.2.3a"


@pytest.mark.parametrize(
    ("typed", "hint"),
    [("R2.2.3", "R2.2.3a"), ("2.2.3a", "R2.2.3a"), ("??", "`limpet requirements` lists all ids")],
)
def test_an_unknown_id_is_met_with_what_to_do(typed: str, hint: str) -> None:
    with pytest.raises(Rejected) as refusal:
        find_statement(typed, load_statements())
    assert refusal.value.reason == "unknown-statement"
    assert hint in refusal.value.hint
