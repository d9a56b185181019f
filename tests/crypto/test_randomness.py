"""Claim codes and tokens: enough bits, never twice, forgiving to read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.crypto.randomness import new_claim_code, new_token, normalise_code, random_bytes
from limpet.errors import Rejected


def test_ten_thousand_codes_are_all_different_and_use_every_letter() -> None:
    codes = {new_claim_code() for _ in range(10_000)}
    assert len(codes) == 10_000
    assert set("".join(codes)) == set("0123456789ABCDEFGHJKMNPQRSTVWXYZ-")


def test_a_code_survives_being_copied_by_a_person() -> None:
    code = new_claim_code()
    sloppy = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert normalise_code(sloppy) == code.replace("-", "")


@given(st.text(max_size=40))
def test_a_text_is_a_code_or_is_refused(text: str) -> None:
    try:
        code = normalise_code(text)
    except Rejected as refusal:
        code, reason = "", refusal.reason
    assert len(code) == 16 or reason == "malformed-code"


def test_a_token_has_256_bits() -> None:
    assert len(new_token()) == 43
    assert new_token() != new_token()


@pytest.mark.parametrize("count", [0, 1, 255, 100_000])
def test_random_bytes_come_in_full(count: int) -> None:
    assert len(random_bytes(count)) == count
