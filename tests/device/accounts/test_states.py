"""R2.1: the table of ownership, and that the documentation shows it and nothing else."""

from pathlib import Path

import pytest

from limpet.device.accounts.states import TRANSITIONS, Change, next_state
from limpet.device.link.messages import ClaimState
from limpet.errors import Rejected

PAGE = Path(__file__).parents[3] / "docs" / "authentication.md"


def draw() -> str:
    """The table as a diagram; paste it where the test misses it."""
    arrows = [
        f"    {before.value} --> {after.value}: {change.value}"
        for (before, change), after in TRANSITIONS.items()
    ]
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {ClaimState.FACTORY.value}", *arrows]
    return "\n".join([*lines, "```"])


def test_the_documentation_draws_the_table_as_it_is() -> None:
    assert draw() in PAGE.read_text(encoding="utf-8"), f"the diagram should be:\n{draw()}"


@pytest.mark.parametrize("state", ClaimState)
@pytest.mark.parametrize("change", Change)
def test_what_is_not_in_the_table_is_refused_with_a_reason(
    state: ClaimState, change: Change
) -> None:
    if (state, change) in TRANSITIONS:
        assert next_state(state, change) is TRANSITIONS[state, change]
        return
    with pytest.raises(Rejected) as refusal:
        next_state(state, change)
    assert refusal.value.message


def test_every_state_is_reached_and_every_one_is_left() -> None:
    assert set(TRANSITIONS.values()) | {ClaimState.FACTORY} == set(ClaimState)
    assert {before for before, _ in TRANSITIONS} == set(ClaimState)


def test_nobody_but_a_claim_or_a_transfer_makes_an_owner_where_there_was_another() -> None:
    made = {
        change
        for (before, change), after in TRANSITIONS.items()
        if after.has_owner and (not before.has_owner or change is Change.ACCEPT)
    }
    assert made == {Change.CLAIM, Change.ACCEPT}
