"""The page of attacks says what the tables say that the tests run, and points at tests that are."""

import re

import pytest
from tests.device.updater.attack_page import PAGE, begin, end, render
from tests.device.updater.attack_tables import ATTACKS, ELSEWHERE, Elsewhere
from tests.docs.pages import ROOT


def test_the_page_shows_the_tables_that_the_tests_run() -> None:
    text = PAGE.read_text()
    shown = text.partition(begin)[2].partition(end)[0]
    assert shown.strip() == render().strip(), "python -m tests.device.updater.attack_page"


def test_every_attack_has_a_name_of_its_own_and_says_who_the_attacker_is() -> None:
    names = [attack.name for attack in ATTACKS]
    assert len(set(names)) == len(names)
    assert all(attack.has and attack.title for attack in ATTACKS)


@pytest.mark.parametrize(
    "row", [row for rows in ELSEWHERE.values() for row in rows], ids=lambda row: row.test
)
def test_a_row_that_is_tried_elsewhere_points_at_a_test(row: Elsewhere) -> None:
    file, _, name = row.test.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
