"""The hardware noise source: the real one, and files and pipes that play a bad one."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from limpet.crypto.noise import START_UP_SAMPLES, WINDOW
from limpet.crypto.randomness import mix_in
from limpet.device.supervisor import _noise
from limpet.device.supervisor._noise import HARDWARE, NoiseSource, read_samples
from limpet.device.supervisor._seed import SEED_FILE, renew_seed, take_seed
from limpet.errors import Rejected, Unavailable

BIASED = b"".join(bytes((0, *os.urandom(1), 0, 0)) for _ in range(1024))
"""Three of four samples are zero, and no run is long."""


class Pool:
    """Takes what is mixed in."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def __call__(self, data: bytes) -> None:
        self.taken.append(data)


def _began(path: Path) -> tuple[NoiseSource, Pool]:
    pool = Pool()
    source = NoiseSource(path, mix=pool)
    asyncio.run(source.begin())
    return source, pool


def _file(directory: Path, content: bytes) -> Path:
    path = directory / "noise"
    path.write_bytes(content)
    return path


@contextmanager
def _feeding(directory: Path, content: bytes) -> Iterator[Path]:
    """A pipe that gives `content` and then nothing, and stays open."""
    path = directory / "pipe"
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR)

    def feed() -> None:
        os.write(end, content)

    writer = threading.Thread(target=feed, daemon=True)
    writer.start()
    try:
        yield path
    finally:
        os.set_blocking(end, False)
        while writer.is_alive():  # a pipe holds 64 KiB; what was not read lets it end
            try:
                os.read(end, 1 << 16)
            except BlockingIOError:
                time.sleep(0.01)
        os.close(end)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads the hardware generator")
@pytest.mark.skipif(not HARDWARE.exists(), reason="no hardware generator: it was not tried")
def test_the_real_generator_is_healthy_and_mixed_in() -> None:
    source, pool = _began(HARDWARE)
    if source.report.source == "absent":
        pytest.skip("no driver behind the hardware generator: it was not tried")
    assert source.report.source == "healthy", source.report.detail
    asyncio.run(source.go_on())
    assert [len(data) for data in pool.taken] == [START_UP_SAMPLES, WINDOW]
    assert source.report.examined == START_UP_SAMPLES + WINDOW
    assert len(set(pool.taken[0])) > 200  # of 256 values


def test_exactly_what_was_tested_is_mixed_in(tmp_path: Path) -> None:
    noise = os.urandom(START_UP_SAMPLES)
    source, pool = _began(_file(tmp_path, noise + os.urandom(500)))
    assert (source.report.source, pool.taken) == ("healthy", [noise])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"\x00" * 4096, "repetition-count", id="stuck"),
        pytest.param(BIASED, "adaptive-proportion", id="biased"),
        pytest.param(bytes(range(256)) * 16, "echo", id="periodic"),
        pytest.param(os.urandom(START_UP_SAMPLES - 1), "ended after 1023", id="short"),
        pytest.param(b"", "ended after 0", id="empty"),
    ],
)
def test_a_bad_source_is_reported_and_nothing_of_it_is_mixed_in(
    tmp_path: Path, content: bytes, words: str
) -> None:
    source, pool = _began(_file(tmp_path, content))
    assert source.report.source == "failing"
    assert words in source.report.detail
    asyncio.run(source.go_on())
    assert pool.taken == []


def test_a_source_that_goes_bad_is_left_at_once_and_for_good(tmp_path: Path) -> None:
    sound = os.urandom(START_UP_SAMPLES - 1) + b"\x2b"  # the run begins after it
    with _feeding(tmp_path, sound + b"\x2a" * WINDOW) as path:
        pool = Pool()
        source = NoiseSource(path, mix=pool)
        asyncio.run(source.begin())
        assert source.report.source == "healthy"
        asyncio.run(source.go_on())
        assert source.report.source == "failing"
        assert "repetition-count test failed at sample 1055" in source.report.detail
    path.unlink()
    path.write_bytes(os.urandom(4096))  # it recovers, and is not believed
    asyncio.run(source.go_on())
    assert [len(data) for data in pool.taken] == [START_UP_SAMPLES]


def test_a_source_that_errs_is_failing(tmp_path: Path) -> None:
    source, pool = _began(tmp_path)  # reading a directory fails
    assert source.report.source == "failing"
    assert "is a directory" in source.report.detail
    assert pool.taken == []


def test_a_source_that_gives_nothing_is_given_up_in_time(tmp_path: Path) -> None:
    with _feeding(tmp_path, os.urandom(100)) as path:
        began = time.monotonic()
        with pytest.raises(Rejected, match="gave 100 of 1024 samples"):
            read_samples(path, START_UP_SAMPLES, seconds=0.3)
        assert 0.3 <= time.monotonic() - began < 20


def test_a_driver_that_hangs_does_not_hang_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = threading.Event()
    monkeypatch.setattr(_noise, "READ_SECONDS", -0.8)  # with a second's grace: 0.2 s

    def hang(path: Path, count: int, *, seconds: float) -> bytes:
        del path, count, seconds
        hanging.wait(30)  # as read(2) in a driver that heeds no O_NONBLOCK
        return b""

    monkeypatch.setattr(_noise, "read_samples", hang)
    began = time.monotonic()
    source, pool = _began(HARDWARE)
    assert time.monotonic() - began < 20
    hanging.set()
    assert (source.report.source, pool.taken) == ("failing", [])
    assert "hangs in the kernel" in source.report.detail


def test_a_machine_without_a_generator_has_none_that_fails(tmp_path: Path) -> None:
    source, _ = _began(tmp_path / "hwrng")
    assert source.report.source == "absent"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_generator_for_root_only_is_not_called_failing(tmp_path: Path) -> None:
    path = _file(tmp_path, os.urandom(4096))
    path.chmod(0)
    source, _ = _began(path)
    assert source.report.source == "unreadable"


def test_the_pool_takes_what_is_written_and_a_missing_one_is_said(tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.touch()
    mix_in(b"noise" * 1000, pool=pool)
    assert pool.read_bytes() == b"noise" * 1000
    with pytest.raises(Unavailable, match="cannot mix"):
        mix_in(b"noise", pool=tmp_path / "none")
    mix_in(os.urandom(64))  # the kernel's own, which credits nothing: anybody may


def test_a_seed_is_mixed_in_once_and_never_the_same(tmp_path: Path) -> None:
    pool = Pool()
    take_seed(tmp_path, mix=pool)
    assert pool.taken == []  # the first start of a life
    seeds = []
    for _ in range(3):
        renew_seed(tmp_path)
        seeds.append((tmp_path / SEED_FILE).read_bytes())
        take_seed(tmp_path, mix=pool)
    assert pool.taken == seeds
    assert len(set(seeds)) == 3
    assert (tmp_path / SEED_FILE).stat().st_mode & 0o777 == 0o600


def test_two_copies_of_one_seed_go_apart_at_once(tmp_path: Path) -> None:
    renewed = set()
    for name in ("one", "two"):
        root = tmp_path / name
        root.mkdir()
        (root / SEED_FILE).write_bytes(b"s" * 32)
        renew_seed(root)
        renewed.add((root / SEED_FILE).read_bytes())
    assert len(renewed | {b"s" * 32}) == 3


@pytest.mark.parametrize("damage", [b"", b"x" * 5, b"x" * 100_000])
def test_a_damaged_seed_costs_nothing_but_the_seed(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / SEED_FILE).write_bytes(damage)
    take_seed(tmp_path, mix=Pool())
    renew_seed(tmp_path)
    assert len((tmp_path / SEED_FILE).read_bytes()) == 32
