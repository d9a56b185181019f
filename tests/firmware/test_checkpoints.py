"""Groups are made while the medium works; the journal is never ahead of what it gives back."""

import hashlib
import itertools
import os
import threading
import time
import types
from pathlib import Path

import pytest

from limpet.errors import Rejected, Unavailable
from limpet.firmware import blocks, medium
from limpet.firmware.image import pack_file, range_reader
from limpet.firmware.medium import BATCH_GROUPS
from limpet.firmware.verity import append_verity
from limpet.storage import write_atomic
from limpet.wire.release import Image

MIB = 1 << 20
GROUPS = 40


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Image]:
    """Each group another one, so that none can stand in another's place."""
    place = tmp_path_factory.mktemp("image")
    raw, packed = place / "raw", place / "packed"
    with raw.open("wb") as file:
        for number in range(GROUPS - 1):
            file.write(hashlib.sha256(bytes([number])).digest() * (MIB // 32))
    verity = append_verity(raw)
    return packed, pack_file(raw, packed, kind="block", verity=verity)


class Notes:
    """What the medium and the journal were asked, in order; each `tick` seconds after the last.

    `steps` are the thread's, `written` counts what is written beside it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, tick: float) -> None:
        self.journalled: list[int] = []
        self.steps: list[str] = []
        self.written = 0
        clock = itertools.count(0.0, tick)

        def noted_journal(path: Path, data: bytes) -> None:
            record = blocks.decode_json(data, blocks._Journal, max_bytes=1 << 12)
            assert record.groups <= self.steps.count("preadv"), "it claims what may be lost"
            self.journalled.append(record.groups)
            write_atomic(path, data)

        def noted(step: str) -> None:
            real = getattr(os, step)

            def call(*given: object) -> object:
                assert threading.current_thread().name.startswith("medium")
                self.steps.append(step)
                return real(*given)

            setattr(self.os, step, call)

        def noted_write(descriptor: int, data: bytes) -> int:
            self.written += 1
            return os.write(descriptor, data)

        self.os = types.SimpleNamespace(**vars(os))
        self.os.write = noted_write
        for step in ("fsync", "posix_fadvise", "preadv"):
            noted(step)
        monkeypatch.setattr(blocks, "write_atomic", noted_journal)
        monkeypatch.setattr(medium, "os", self.os)
        monkeypatch.setattr(medium, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))


def install(image: tuple[Path, Image], place: Path, *, gone_at: int = GROUPS + 1) -> list[int]:
    """The offsets that were asked for."""
    packed, description = image
    slot, read = place / "slot", range_reader(packed)
    slot.write_bytes(bytes(description.size))
    asked: list[int] = []

    def read_range(offset: int, length: int) -> bytes:
        asked.append(offset)
        if len(asked) > gone_at:
            raise Unavailable("the server went away")
        return read(offset, length)

    blocks.install_blocks(description, read_range, slot, journal=place / "journal")
    return asked


def test_groups_that_come_fast_share_a_sync_and_are_read_back_out_of_the_cache(
    image: tuple[Path, Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes(monkeypatch, tick=0.0)
    install(image, tmp_path)
    full, rest = divmod(GROUPS, BATCH_GROUPS)
    expected: list[str] = []
    for count in [BATCH_GROUPS] * full + [rest] * bool(rest):
        expected += ["fsync", "posix_fadvise"] + ["preadv"] * count
    assert notes.steps == expected
    assert notes.journalled == [BATCH_GROUPS, GROUPS]


def test_groups_that_come_fast_are_journalled_every_half_second(
    image: tuple[Path, Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes(monkeypatch, tick=0.05)
    install(image, tmp_path)
    assert max(later - one for one, later in itertools.pairwise([0, *notes.journalled])) <= 11
    assert notes.journalled[-1] == GROUPS


def test_groups_that_come_slowly_are_each_durable_and_journalled(
    image: tuple[Path, Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes(monkeypatch, tick=0.6)
    install(image, tmp_path)
    assert notes.journalled == list(range(1, GROUPS + 1))


def test_what_came_before_the_server_went_away_is_durable(
    image: tuple[Path, Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes(monkeypatch, tick=0.0)
    with pytest.raises(Unavailable, match="went away"):
        install(image, tmp_path, gone_at=21)
    assert notes.journalled == [21]


def test_after_a_sync_that_failed_nothing_is_written_synced_or_journalled(
    image: tuple[Path, Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(medium, "BATCH_GROUPS", 5)
    notes = Notes(monkeypatch, tick=0.0)

    def broken(descriptor: int) -> None:
        notes.steps.append("fsync")
        raise OSError(5, "Input/output error")

    notes.os.fsync = broken
    with pytest.raises(Unavailable, match="cannot write slot"):
        install(image, tmp_path)
    assert notes.steps == ["fsync"]
    assert 5 <= notes.written <= 10, "more is written than was on its way"
    assert notes.journalled == []


def test_a_failing_medium_is_told_though_the_server_goes_away_too(
    image: tuple[Path, Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes(monkeypatch, tick=0.0)

    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    notes.os.fsync = broken
    with pytest.raises(Unavailable, match="cannot write slot"):
        install(image, tmp_path, gone_at=1)
    assert notes.journalled == []


@pytest.mark.parametrize("lies", [False, True], ids=["an honest medium", "a medium that lies"])
def test_a_medium_that_keeps_another_byte_is_found_before_the_journal_claims_it(
    image: tuple[Path, Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lies: bool
) -> None:
    notes = Notes(monkeypatch, tick=0.6)
    count = itertools.count(1)

    def write(descriptor: int, data: bytes) -> int:
        if lies and next(count) == 5:
            data = data[:-1] + bytes([data[-1] ^ 1])
        return os.write(descriptor, data)

    notes.os.write = lambda descriptor, data: write(descriptor, bytes(data))
    if not lies:
        install(image, tmp_path)
        assert notes.journalled[-1] == GROUPS
        return
    with pytest.raises(Rejected) as refused:
        install(image, tmp_path)
    assert refused.value.reason == "tampered-blocks"
    assert notes.journalled == [1, 2, 3, 4]
    assert not (tmp_path / "journal").exists(), "the next try believes what this medium keeps"


def test_groups_are_made_while_the_medium_works_but_only_some(
    image: tuple[Path, Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut costs is bounded: two batches, the one that is made durable and the next."""
    monkeypatch.setattr(medium, "BATCH_GROUPS", 5)
    notes = Notes(monkeypatch, tick=0.0)
    asked, go = threading.Semaphore(0), threading.Event()
    real = blocks.group_reader

    def counted(*given: object) -> object:
        read = real(*given)  # type: ignore[arg-type]

        def group(index: int) -> bytes:
            asked.release()
            return read(index)

        return group

    def stuck(descriptor: int) -> None:
        go.wait(20)
        os.fsync(descriptor)

    notes.os.fsync = stuck
    monkeypatch.setattr(blocks, "group_reader", counted)
    thread = threading.Thread(target=install, args=(image, tmp_path))
    thread.start()
    try:
        for _ in range(10):
            assert asked.acquire(timeout=10), "nothing is made while the medium works"
        time.sleep(0.2)
        more = sum(asked.acquire(blocking=False) for _ in range(GROUPS))
    finally:
        go.set()
        thread.join()
    assert not more, "more is not durable than may be lost"
    assert notes.journalled == list(range(5, GROUPS + 1, 5))


def test_an_unforeseen_error_leaves_no_thread_and_claims_nothing(
    image: tuple[Path, Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes(monkeypatch, tick=0.0)

    def interrupted(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    slot = tmp_path / "slot"
    slot.write_bytes(bytes(image[1].size))
    with pytest.raises(KeyboardInterrupt):
        blocks.install_blocks(
            image[1],
            range_reader(image[0]),
            slot,
            journal=tmp_path / "journal",
            on_progress=interrupted,
        )
    assert not [one for one in threading.enumerate() if one.name.startswith("medium")]
    assert notes.journalled == []
