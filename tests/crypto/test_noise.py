"""The health tests of SP 800-90B: their cut-offs by the formula, and sources that must fail."""

import os
from collections.abc import Callable
from fractions import Fraction
from math import comb

import pytest

from limpet.crypto.noise import (
    CLAIMED_BITS,
    ECHO_SAMPLES,
    FALSE_ALARM,
    START_UP_SAMPLES,
    WINDOW,
    NoiseHealth,
    adaptive_proportion_cutoff,
    repetition_count_cutoff,
)
from limpet.errors import Rejected


def _chance_of_at_least(count: int, window: int) -> Fraction:
    """Of `count` equal samples in `window` fair coin tosses, exactly."""
    return Fraction(sum(comb(window, k) for k in range(count, window + 1)), 2**window)


def test_the_cutoffs_are_those_of_the_formula() -> None:
    assert FALSE_ALARM == 2**-30
    assert repetition_count_cutoff(CLAIMED_BITS, FALSE_ALARM) == 31
    cutoff = adaptive_proportion_cutoff(CLAIMED_BITS, WINDOW, FALSE_ALARM)
    assert cutoff == 325
    # 4.4.2: C is 1 + CRITBINOM, the smallest x with P(X <= x) >= 1 - alpha.
    assert _chance_of_at_least(cutoff, WINDOW) <= Fraction(1, 2**30)
    assert _chance_of_at_least(cutoff - 1, WINDOW) > Fraction(1, 2**30)


@pytest.mark.parametrize(
    ("bits", "window", "expected"),
    # The examples of the standard's own table (4.4.2), for a false alarm of 2^-20.
    [
        (0.2, 1024, 941),
        (0.4, 1024, 840),
        (0.6, 1024, 748),
        (0.8, 1024, 664),
        (1.0, 1024, 589),
        (0.5, 512, 410),
        (1.0, 512, 311),
        (2.0, 512, 177),
        (4.0, 512, 62),
        (8.0, 512, 13),
    ],
)
def test_other_claims_have_other_cutoffs(bits: float, window: int, expected: int) -> None:
    cutoff = adaptive_proportion_cutoff(bits, window, 2.0**-20)
    assert cutoff == expected


def _sound(count: int) -> bytes:
    return os.urandom(count)


def test_a_sound_source_passes_for_long() -> None:
    health = NoiseHealth()
    for _ in range(200):
        samples = _sound(START_UP_SAMPLES)
        assert health.verify(samples).samples == samples
    assert health.examined == 200 * START_UP_SAMPLES


def test_thirty_equal_samples_pass_and_thirty_one_do_not() -> None:
    start = b"\x00" + _sound(START_UP_SAMPLES - 1).replace(b"\x07", b"\x08") + b"\x08"
    NoiseHealth().verify(start + b"\x07" * 30 + b"\x09")
    with pytest.raises(Rejected, match="repetition-count"):
        NoiseHealth().verify(start + b"\x07" * 31)


def test_a_run_is_counted_across_two_blocks() -> None:
    health = NoiseHealth()
    health.verify(b"\x08" + _sound(START_UP_SAMPLES).replace(b"\x07", b"\x08") + b"\x07" * 20)
    with pytest.raises(Rejected, match="repetition-count"):
        health.verify(b"\x07" * 11)


def _window_with(count: int) -> bytes:
    """A window in which its first sample comes `count` times, and no other comes often."""
    others = iter(_sound(WINDOW * 2).replace(b"\x07", b""))
    window = bytearray(b"\x07")
    for place in range(1, WINDOW):
        # Spread over the window, so that no run is long.
        more = place * (count - 1) // (WINDOW - 1) > (place - 1) * (count - 1) // (WINDOW - 1)
        window.append(7 if more else next(others))
    assert window.count(7) == count
    return bytes(window)


def test_a_value_may_come_324_times_in_a_window_and_not_325_times() -> None:
    start = _sound(START_UP_SAMPLES)  # two whole windows
    NoiseHealth().verify(start + _window_with(324))
    with pytest.raises(Rejected, match="adaptive-proportion"):
        NoiseHealth().verify(start + _window_with(325))


def _biased(count: int) -> bytes:
    """Nine of ten are zero; which ones is not drawn: a window is judged by its first sample."""
    return bytes(one if place % 10 == 9 else 0 for place, one in enumerate(os.urandom(count)))


def _recording(count: int) -> bytes:
    return (os.urandom(300) * count)[:count]


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "stuck": lambda count: b"\xff" * count,
    "biased": _biased,
    "alternating": lambda count: (b"\x55\xaa" * count)[:count],
    "a counter": lambda count: (bytes(range(256)) * count)[:count],
    "a recording of 300 samples": _recording,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_source_does_not_pass_its_start_up(name: str) -> None:
    with pytest.raises(Rejected) as refusal:
        NoiseHealth().verify(HOSTILE[name](START_UP_SAMPLES))
    assert refusal.value.reason == "noise-failing"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_source_that_fails_later_is_caught_within_two_windows(name: str) -> None:
    health = NoiseHealth()
    health.verify(_sound(START_UP_SAMPLES * 8))
    with pytest.raises(Rejected):
        health.verify(HOSTILE[name](2 * WINDOW))
    assert health.examined <= START_UP_SAMPLES * 8 + 2 * WINDOW


def test_a_source_that_failed_stays_refused() -> None:
    health = NoiseHealth()
    with pytest.raises(Rejected):
        health.verify(b"\x00" * START_UP_SAMPLES)
    with pytest.raises(Rejected, match="repetition-count"):
        health.verify(_sound(START_UP_SAMPLES))


def test_too_few_samples_are_no_start_up_test() -> None:
    health = NoiseHealth()
    with pytest.raises(Rejected, match="too few"):
        health.verify(_sound(START_UP_SAMPLES - 1))
    with pytest.raises(Rejected, match="too few"):
        health.verify(_sound(START_UP_SAMPLES))


def test_an_echo_is_heard_from_its_64th_sample_on() -> None:
    past = _sound(START_UP_SAMPLES)
    NoiseHealth().verify(past + past[: ECHO_SAMPLES - 1])
    with pytest.raises(Rejected, match="echo"):
        NoiseHealth().verify(past + past[:ECHO_SAMPLES])
