"""Every command of the documentation exists, and takes the options that it is shown with."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.docs.pages import PAGES, ROOT, blocks_of, prose_of

from limpet.cli.main import COMMANDS, build_app

_LINE = re.compile(r"^\s*(?:\$ )?(?:\./run (?:limpet )?|limpet )(.+)$", re.M)
_INLINE = re.compile(r"`(?:\./run (?:limpet )?|limpet )([a-z][^`]*)`")
_ENDS = frozenset({"|", "&", ">", "&&", ";"})
# Words of the run script.
RUNS_OWN = frozenset({"test", "check", "demo", "fuzz", "bench", "trace", "cuts"})


@cache
def command_of(name: str) -> Any:
    """The tree of one command of limpet, as click parses it."""
    return typer.main.get_command(build_app([name]))


def words_of(shown: str) -> list[str]:
    """The words of one shown line; one whose quotation goes on in the next is split plainly."""
    try:
        return shlex.split(shown, comments=True)
    except ValueError:
        return shown.split()


def shown_commands(text: str) -> Iterator[list[str]]:
    for shown in [*_LINE.findall(blocks_of(text)), *_INLINE.findall(prose_of(text))]:
        words = []
        for word in words_of(shown):
            if word in _ENDS:
                break
            words.append(word)
        if words and words[0] not in RUNS_OWN and words[0].islower():
            yield words


def fault_of(words: list[str]) -> str:
    """What a person who types `words` after `limpet` is told; empty if it is understood."""
    if words[0] not in {spec.name for spec in COMMANDS}:
        return f"there is no limpet {words[0]}"
    node, rest = command_of(words[0]), list(words)
    while getattr(node, "commands", None) and rest:
        if rest[0].startswith("-") or rest[0].isupper():  # an option, or a placeholder
            break
        if rest[0] not in node.commands:
            return f"{' '.join(words)}: there is no {rest[0]}"
        node = node.commands[rest.pop(0)]
    if rest and rest[0].isupper() and getattr(node, "commands", None):
        return ""
    known = {option for parameter in node.params for option in parameter.opts}
    known |= {option for parameter in node.params for option in parameter.secondary_opts}
    for word in rest:
        option = word.partition("=")[0]
        if option.startswith("-") and option not in known | {"--help"}:
            return f"{' '.join(words)}: there is no option {option}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_shows_is_understood(page: Path) -> None:
    faults = [fault_of(words) for words in shown_commands(page.read_text())]
    assert [fault for fault in faults if fault] == []


def test_there_are_commands_at_all() -> None:
    assert sum(len(list(shown_commands(page.read_text()))) for page in PAGES) > 30


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("limpet product check examples/thermostat --json", ""),
        ("./run limpet owner update policy --window always  # a comment", ""),
        ("limpet device run d \\\n    --listen 127.0.0.1:0 &", ""),
        ("limpet fly", "there is no limpet fly"),
        ("limpet product fly", "there is no fly"),
        ("limpet product check d --faster", "there is no option --faster"),
        ("limpet device run d \\\n    --faster", "there is no option --faster"),
    ],
)
def test_a_command_that_is_not_there_is_found(shown: str, said: str) -> None:
    [words] = shown_commands(f"```sh\n{shown}\n```\n")
    fault = fault_of(words)
    assert said in fault
    assert bool(said) == bool(fault)
