"""`security.txt` as RFC 9116 has it."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from limpet.errors import Misuse, Rejected
from limpet.product import load_product, render_security_txt

PRODUCT = load_product(Path(__file__).parent / "specimens" / "sound.toml")
NOW = datetime(2026, 11, 22, 12, 0, 0, 999, tzinfo=UTC)
PLACE = "https://vendor.example.com/.well-known/security.txt"


def fields(text: str) -> list[tuple[str, str]]:
    assert text.endswith("\n")
    return [
        (name, value) for name, _, value in (line.partition(": ") for line in text.splitlines())
    ]


def test_it_holds_the_fields_of_the_standard_once_each() -> None:
    assert fields(render_security_txt(PRODUCT, now=NOW, canonical_url=PLACE)) == [
        ("Contact", "mailto:security@example.com"),
        ("Expires", "2027-06-30T00:00:00Z"),
        ("Preferred-Languages", "en"),
        ("Policy", "https://example.com/security"),
        ("Canonical", PLACE),
    ]


def test_it_expires_within_a_year_even_if_the_contact_is_good_for_longer() -> None:
    early = NOW - timedelta(days=600)
    expires = dict(fields(render_security_txt(PRODUCT, now=early)))["Expires"]
    assert datetime.fromisoformat(expires) - early < timedelta(days=365)


def test_it_is_never_rendered_from_a_contact_that_has_expired() -> None:
    last = datetime(2027, 6, 29, 23, 59, 59, tzinfo=UTC)
    render_security_txt(PRODUCT, now=last)
    with pytest.raises(Rejected, match="2027-06-30"):
        render_security_txt(PRODUCT, now=last + timedelta(seconds=1))


def test_a_clock_of_another_zone_gives_the_same_text() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=9)))
    assert render_security_txt(PRODUCT, now=there) == render_security_txt(PRODUCT, now=NOW)


def test_a_canonical_address_cannot_bring_in_lines_of_its_own() -> None:
    for url in (f"{PLACE}\nContact: mailto:evil@example.net", "http://vendor.example.com/", "x"):
        with pytest.raises(Misuse):
            render_security_txt(PRODUCT, now=NOW, canonical_url=url)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(Misuse, match="zone"):
        render_security_txt(PRODUCT, now=NOW.replace(tzinfo=None))
