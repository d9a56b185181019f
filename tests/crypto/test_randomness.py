"""Claim codes and tokens: enough bits, never twice, forgiving to read."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.crypto.randomness import (
    new_claim_code,
    new_token,
    normalise_code,
    random_bytes,
    wait_until_ready,
)
from limpet.errors import Rejected, Unavailable


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


class Unseeded:
    """`getrandom(2)` of a kernel that has gathered nothing yet, for so many calls."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def __call__(self, count: int, flags: int = 0) -> bytes:
        if self.left == 0:
            return bytes(count)
        self.left -= 1
        if flags & os.GRND_NONBLOCK:
            raise BlockingIOError
        raise AssertionError("a process would hang here, and say nothing")


def test_a_kernel_that_is_never_seeded_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getrandom", Unseeded(10**6))
    with pytest.raises(Unavailable, match="not ready"):
        wait_until_ready(timeout=0.0)


def test_a_kernel_that_is_seeded_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Unseeded(2)
    monkeypatch.setattr(os, "getrandom", kernel)
    wait_until_ready(timeout=5.0)
    assert kernel.left == 0


def test_a_read_that_a_signal_cut_short_is_made_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getrandom", lambda count, flags=0: b"x" * min(count, 7))
    assert random_bytes(32) == b"x" * 32
