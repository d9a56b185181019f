"""The reader against bytes of every kind: it answers with problems, never with an exception."""

import os
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.product import (
    MAX_PRODUCT_BYTES,
    AfterSupport,
    examine_product,
    load_product,
    read_problems,
)
from limpet.product._loading import MAX_PROBLEMS
from limpet.wire.support import AfterSupport as WireAfterSupport

SOUND = (Path(__file__).parent / "specimens" / "sound.toml").read_bytes()
LINES = SOUND.decode().split("\n")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_problems(data: bytes) -> None:
    product, problems = examine_product(data)
    assert product is None
    assert problems


@settings(max_examples=400, deadline=None)
@given(
    st.integers(0, len(LINES) - 1),
    st.sampled_from(LINES)
    | st.text(st.sampled_from("[]{}=\"'.,#ab1 \n\\-"), max_size=12)
    | st.sampled_from(
        ["[[threats]]", "measures = 1", "id = []", "x = { y = [{}] }", 'id = "\\u0000"']
    ),
)
def test_a_sound_file_with_any_line_changed_is_read_or_refused(place: int, line: str) -> None:
    changed = [*LINES[:place], line, *LINES[place + 1 :]]
    product, problems = examine_product("\n".join(changed).encode())
    assert product is not None or problems
    for problem in problems:
        assert 1 <= problem.line <= len(changed) + 12
        assert problem.text("x").isprintable()
        assert "\n" not in problem.hint


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_sound_file_with_any_byte_changed_is_read_or_refused(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(SOUND) - 1))
    changed = bytearray(SOUND)
    changed[place] = data.draw(st.integers(0, 255))
    product, problems = examine_product(bytes(changed))
    assert product is not None or problems


def test_a_file_that_is_too_large_is_refused_and_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "product.toml"
    path.write_bytes(SOUND + b"#" * MAX_PRODUCT_BYTES)
    assert read_problems(path)[0].text("x") == "x:1: larger than 256 KiB"
    with pytest.raises(Rejected, match="larger than 256 KiB"):
        load_product(path)
    assert examine_product(path.read_bytes())[0] is None


def test_a_file_that_is_not_utf8_is_refused_on_its_line() -> None:
    product, problems = examine_product(b'[maker]\nname = "Caf\xe9"\n')
    assert product is None
    assert [(problem.line, problem.message) for problem in problems] == [(2, "not UTF-8 text")]


def test_a_missing_file_is_unavailable_and_not_a_bad_design(tmp_path: Path) -> None:
    for reader in (load_product, read_problems):
        with pytest.raises(Unavailable, match=r"product\.toml"):
            reader(tmp_path / "product.toml")
        with pytest.raises(Unavailable):
            reader(tmp_path / ("x" * 300))


def test_a_directory_or_a_pipe_in_its_place_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(LimpetError, match="not a file"):
            load_product(path)


@pytest.mark.parametrize(
    "line",
    [
        "{name}{n} = 1\n",
        "[t{n}]\n",
        "[[threats]]\nid = {n}\n",
        "[[measures]]\nid = 'm{n}'\ndescription='x'\nstatements=['R1']\n",
    ],
)
def test_a_file_full_of_mistakes_gets_an_answer_in_time_and_of_bounded_length(line: str) -> None:
    text = ""
    for number in range(MAX_PRODUCT_BYTES // len(line)):
        piece = line.replace("{n}", str(number)).replace("{name}", "contact")
        if len(text) + len(piece) > MAX_PRODUCT_BYTES:
            break
        text += piece
    start = time.process_time()
    product, problems = examine_product(text.encode())
    assert time.process_time() - start < 20
    assert product is None
    assert len(problems) <= MAX_PROBLEMS + 1


def test_every_reference_dangling_gets_an_answer_in_time() -> None:
    names = ", ".join(f'"x{number}"' for number in range(250))
    threat = (
        f'[[threats]]\nid = "t{{n}}"\ndescription = "x"\ninterfaces = [{names}]\nmeasures = []\n'
    )
    text = SOUND.decode().replace(
        "[decisions.memory_protection]",
        "".join(threat.replace("{n}", str(number)) for number in range(100))
        + "[decisions.memory_protection]",
    )
    assert len(text) < MAX_PRODUCT_BYTES
    start = time.process_time()
    _, problems = examine_product(text.encode())
    assert time.process_time() - start < 20
    assert problems[-1].message.endswith("more problems")


def test_a_key_that_would_steer_a_terminal_is_shown_escaped() -> None:
    problems = examine_product(b'"\\u001b[2J\\u202e" = 1\n')[1]
    assert all(problem.text("x").isascii() for problem in problems)
    assert any("\\u001b[2J" in problem.key for problem in problems)


def test_a_product_cannot_be_changed_after_it_was_judged() -> None:
    product = examine_product(SOUND)[0]
    assert product is not None
    with pytest.raises(AttributeError):
        product.support.until = product.security_contact.expires  # type: ignore[misc]
    assert isinstance(product.threats, tuple)
    assert msgspec.json.encode(product)


def test_what_follows_support_has_the_same_words_in_the_file_and_on_the_wire() -> None:
    assert {word.value for word in AfterSupport} == {word.value for word in WireAfterSupport}
