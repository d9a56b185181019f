"""What a signed document can say at all: no name with a newline, no time that no clock shows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from limpet.device.link.messages import UpdateProxy
from limpet.errors import Rejected
from limpet.firmware.devices import Absolute
from limpet.wire.codec import Message, decode_json, encode_json
from limpet.wire.factory import Serial
from limpet.wire.release import MAX_DURATION_SECONDS, Bounds, Digest, ModelName, Version
from limpet.wire.rollout import WHOLE_PPM, Tag, earliest_installation
from limpet.wire.support import AfterSupport, SupportStatement
from limpet.wire.times import LAST, verify_made_by

NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Names(Message, frozen=True, kw_only=True):
    version: Version = "1.0.0"
    digest: Digest = "a" * 64
    model: ModelName = "thermostat"
    tag: Tag = "a" * 16
    serial: Serial = "TH-0001"
    path: Absolute = "/dev/vda"


@pytest.mark.parametrize("name", Names.__struct_fields__)
def test_no_name_ends_in_a_newline(name: str) -> None:
    value = getattr(Names(), name)
    assert decode_json(encode_json({name: value}), Names, max_bytes=1000) == Names()
    with pytest.raises(Rejected):
        decode_json(encode_json({name: value + "\n"}), Names, max_bytes=1000)


@pytest.mark.parametrize("name", ["host", "user", "password"])
def test_no_word_of_a_proxy_ends_in_a_newline(name: str) -> None:
    known = {"host": "proxy.example", "port": 3128, "user": "me", "password": "secret"}
    assert decode_json(encode_json(known), UpdateProxy, max_bytes=1000).host == "proxy.example"
    with pytest.raises(Rejected):
        decode_json(encode_json({**known, name: f"{known[name]}\n"}), UpdateProxy, max_bytes=1000)


def bounds(**changes: Any) -> bytes:
    fields = {"not_before": NOW, "minimum_duration_seconds": 0, "largest_step_ppm": 1}
    return encode_json({**fields, **changes})


def test_the_longest_ramp_from_the_last_day_still_has_an_end() -> None:
    longest = bounds(not_before=LAST, minimum_duration_seconds=MAX_DURATION_SECONDS)
    found = decode_json(longest, Bounds, max_bytes=1000)
    assert earliest_installation(found, WHOLE_PPM - 1) > LAST + timedelta(days=3600)


@pytest.mark.parametrize(
    "changes",
    [
        {"minimum_duration_seconds": MAX_DURATION_SECONDS + 1},
        {"minimum_duration_seconds": 10**20},
        {"not_before": "0001-01-01T00:00:00Z"},
        {"not_before": "9999-12-31T23:59:59-23:59"},
    ],
)
def test_a_ramp_that_no_calendar_holds_is_malformed(changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as refused:
        decode_json(bounds(**changes), Bounds, max_bytes=1000)
    assert refused.value.reason == "malformed"


@pytest.mark.parametrize("name", ["until", "issued_at"])
@pytest.mark.parametrize("moment", ["0001-01-02T00:00:00Z", "9999-12-31T23:59:59-23:59"])
def test_a_statement_of_a_day_that_cannot_be_counted_from_is_malformed(
    name: str, moment: str
) -> None:
    said = SupportStatement(
        model="thermostat",
        until=NOW,
        after=AfterSupport.KEEPS_WORKING_LOCALLY,
        text="",
        issued_at=NOW,
    )
    data = encode_json(said)
    assert decode_json(data, SupportStatement, max_bytes=1000) == said
    whole = {"spec": said.spec, "model": said.model, "until": NOW, "issued_at": NOW}
    whole |= {"after": said.after, "text": "", name: moment}
    with pytest.raises(Rejected) as refused:
        decode_json(encode_json(whole), SupportStatement, max_bytes=1000)
    assert refused.value.reason == "malformed"


def test_what_says_that_it_was_made_later_than_can_be_is_refused() -> None:
    verify_made_by(NOW, NOW, what="it")
    with pytest.raises(Rejected) as refused:
        verify_made_by(NOW + timedelta(seconds=1), NOW, what="it")
    assert refused.value.reason == "bad-date"
