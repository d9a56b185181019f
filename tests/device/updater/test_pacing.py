"""How fast, how slow, and how long between: the rules, on a clock of the test's own."""

from hypothesis import given
from hypothesis import strategies as st

from limpet.device.updater.pacing import (
    LEAST_RATE,
    PATIENCE_SECONDS,
    Bandwidth,
    Patience,
    decide_pause,
)

CHUNKS = st.lists(st.tuples(st.integers(1, 1 << 16), st.floats(0, 30)), min_size=1, max_size=200)


@given(chunks=CHUNKS, limit=st.integers(8192, 1 << 24))
def test_no_stretch_of_a_transfer_is_faster_than_its_limit(
    chunks: list[tuple[int, float]], limit: int
) -> None:
    """From the end of any chunk on: what comes in t seconds is t times the limit, a quarter of a
    second more, and the chunk that is taken at once."""
    bandwidth, now = Bandwidth(limit), 100.0
    seen: list[tuple[float, int]] = []
    for count, idle in chunks:
        now += idle
        seen.append((now, count))
        now += bandwidth.took(count, now)
    for first in range(len(seen)):
        total = 0
        for at, count in seen[first:]:
            total += count
            allowed = (at - seen[first][0]) * limit + limit * 0.25 + max(c for _, c in seen)
            assert total <= allowed + 1


def test_a_limit_is_used_up_to_the_full() -> None:
    bandwidth, now = Bandwidth(100_000), 0.0
    for _ in range(100):
        now += bandwidth.took(10_000, now)
    assert 9.5 < now < 10.0


def test_no_limit_never_waits() -> None:
    assert Bandwidth(None).took(1 << 30, 5.0) == 0.0


def test_a_server_that_drips_is_too_slow_however_regularly_it_does() -> None:
    patience, waited = Patience(), 0.0
    while patience.heard(1, 1.0):
        waited += 1.0
        assert waited < 2 * PATIENCE_SECONDS
    assert waited >= PATIENCE_SECONDS - 2


def test_a_server_that_was_fast_cannot_be_silent_for_longer() -> None:
    patience = Patience()
    assert patience.heard(1 << 30, 1.0)
    assert patience.left == PATIENCE_SECONDS
    assert not patience.heard(1, PATIENCE_SECONDS + 1)


@given(st.lists(st.floats(0.01, PATIENCE_SECONDS / 2), min_size=1, max_size=300))
def test_a_server_at_the_least_rate_is_borne_for_ever(waits: list[float]) -> None:
    patience = Patience()
    assert all(patience.heard(int(LEAST_RATE * wait) + 1, wait) for wait in waits)


@given(st.lists(st.tuples(st.integers(0, 4096), st.floats(0.01, 20)), max_size=300))
def test_whoever_is_borne_brought_the_least_rate(heard: list[tuple[int, float]]) -> None:
    """Over the whole, and over every stretch of it."""
    patience, borne = Patience(), []
    for count, waited in heard:
        if not patience.heard(count, waited):
            break
        borne.append((count, waited))
    for first in range(len(borne)):
        brought = sum(count for count, _ in borne[first:])
        seconds = sum(waited for _, waited in borne[first:])
        assert brought >= LEAST_RATE * (seconds - PATIENCE_SECONDS) - 1


@given(st.integers(0, 1000), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_with_fruitless_tries_and_stay_below_a_minute(tries: int, draw: float) -> None:
    pause = decide_pause(tries, lambda: draw)
    assert 0.5 <= pause <= 60.0
    assert decide_pause(tries + 1, lambda: draw) >= pause
