"""docs/api.md names every route as the table has it, and no other."""

import re
from pathlib import Path

from limpet.device.gateway.answers import STATUS_OF
from limpet.device.gateway.routes import ROUTES

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text()


def test_the_page_lists_every_route_and_no_other() -> None:
    rows = re.findall(r"^\| (GET|POST|PUT|DELETE) \| `([^`]+)` \| (\w+) \|", PAGE, re.MULTILINE)
    wanted = [(route.method, route.path, route.access.name.lower()) for route in ROUTES]
    assert rows == wanted


def test_the_page_gives_each_reason_under_its_status() -> None:
    rows = re.findall(r"^\| ([0-9, ]+) \| (`[^|]+) \|$", PAGE, re.MULTILINE)
    shown = {
        reason: [int(status) for status in statuses.split(",")]
        for statuses, reasons in rows
        for reason in re.findall(r"`([a-z-]+)`", reasons)
    }
    for reason, status in STATUS_OF.items():
        if reason != "not-served":
            assert status in shown[reason], reason
