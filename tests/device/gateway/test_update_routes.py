"""Updates over the API: postponed by the owner only; why one waits; the end of support."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from tests.device.gateway.conftest import Person

from limpet.device.link import messages as m


def test_updates_are_postponed_by_the_owner_only(owner: Person) -> None:
    for days in (-1, 366, "7", None):
        assert owner.ask("POST", "/v1/update/postpone", {"days": days})[0] == 400
    assert owner.ask("POST", "/v1/update/postpone", {"days": 7}, token="")[0] == 401
    body = {"label": "hub", "access": "member", "lifetime_seconds": 3600}
    member = owner.ask("POST", "/v1/tokens", body)[1]["token"]
    assert owner.ask("POST", "/v1/update/postpone", {"days": 7}, token=member)[0] == 403
    assert not [r for r in owner.stand.requests if isinstance(r, m.PostponeUpdates)]
    assert owner.ask("POST", "/v1/update/postpone", {"days": 7})[0] == 204
    sent = [r for r in owner.stand.requests if isinstance(r, m.PostponeUpdates)]
    assert [one.days for one in sent] == [7]


def test_why_an_update_waits_is_told_with_since_and_until(owner: Person) -> None:
    since, until = datetime(2026, 11, 27, 14, tzinfo=UTC), datetime(2026, 11, 28, 2, tzinfo=UTC)
    before = owner.stand.update
    owner.stand.update = msgspec.structs.replace(
        before,
        state="held",
        held=m.Held(reason="outside-window", text="held: outside window", since=since, until=until),
    )
    try:
        held = owner.ask("GET", "/v1/update")[1]["held"]
    finally:
        owner.stand.update = before
    assert held == {
        "reason": "outside-window",
        "text": "held: outside window",
        "since": "2026-11-27T14:00:00Z",
        "until": "2026-11-28T02:00:00Z",
        "consent_ends": False,
    }


@pytest.mark.parametrize(("over", "level"), [(False, "warning"), (True, "error")])
def test_the_end_of_support_is_a_notification_that_no_tick_ends(
    owner: Person, over: bool, level: str
) -> None:
    def shown() -> list[Any]:
        told = owner.ask("GET", "/v1/notifications")[1]["notifications"]
        return [one for one in told if one["key"] == "support"]

    before = owner.stand.update
    assert shown() == []
    owner.stand.update = msgspec.structs.replace(
        before, support_notice="Security updates end on 2031-12-31", support_over=over
    )
    try:
        [notice] = shown()
        assert (notice["level"], notice["text"]) == (level, "Security updates end on 2031-12-31")
        assert owner.ask("POST", f"/v1/notifications/{notice['id']}/acknowledge")[0] == 404
        assert len(shown()) == 1
    finally:
        owner.stand.update = before
