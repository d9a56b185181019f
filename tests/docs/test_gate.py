"""The page about the gate and the rules that there are."""

import re
from pathlib import Path

from limpet.release.gate import RULES

PAGE = Path(__file__).parents[2] / "docs" / "gate.md"
ROW = re.compile(r"^\| `([a-z-]+)` \| (.*) \| (.*) \|$", re.MULTILINE)


def test_the_table_has_every_rule_in_its_order_in_its_own_words() -> None:
    told = ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert told == [(one.id, one.title, ", ".join(one.statements)) for one in RULES]
