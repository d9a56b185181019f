"""The rollouts that pages and help show are within the bounds of a release built by default."""

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from tests.docs.pages import PAGES, ROOT
from tests.docs.test_commands import command_of

from limpet.errors import Rejected
from limpet.vendor.rollout import decide_steps
from limpet.wire.release import Bounds

TEXTS = [*PAGES, ROOT / "src" / "limpet" / "cli" / "rollout.py"]
SHOWN = [
    (text.name, steps)
    for text in TEXTS
    for steps in re.findall(r"--steps ([0-9][0-9.,]*[0-9])", text.read_text())
]


def default_of(command: str, subcommand: str, option: str) -> str:
    [found] = [
        parameter.default
        for parameter in command_of(command).commands[command].commands[subcommand].params
        if parameter.name == option
    ]
    return str(found)


def plan(steps: str) -> None:
    bounds = Bounds(
        not_before=datetime(2026, 1, 1, tzinfo=UTC),
        minimum_duration_seconds=0,
        largest_step_ppm=int(Decimal(default_of("release", "build", "largest_step")) * 10_000),
    )
    shares = [int(Decimal(share) * 10_000) for share in steps.split(",")]
    decide_steps(shares, wait_seconds=3600, bounds=bounds)


@pytest.mark.parametrize(("where", "steps"), SHOWN, ids=lambda word: str(word))
def test_the_steps_that_are_shown_are_taken_by_a_default_release(where: str, steps: str) -> None:
    plan(steps)


def test_the_steps_that_nobody_chose_are_taken_too() -> None:
    plan(default_of("rollout", "start", "steps"))


def test_examples_were_found_and_too_large_a_step_is_refused() -> None:
    assert {"vendor.md", "rollout.py"} <= {where for where, _ in SHOWN}
    with pytest.raises(Rejected) as refused:
        plan("1,10,50,100")
    assert refused.value.reason == "out-of-bounds"
