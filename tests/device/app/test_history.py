"""The history: bounded for ever, and whole after a cut at any byte."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpet.device.app import History
from limpet.errors import Misuse, Unavailable


class Point(msgspec.Struct, frozen=True):
    number: int
    note: str = ""


def open_history(directory: Path) -> History[Point]:
    return History(directory, "points", Point, segment_bytes=256, segments=3)


def test_records_come_back_in_order_over_restarts(tmp_path: Path) -> None:
    for number in range(5):
        open_history(tmp_path).append(Point(number))
    assert [p.number for p in open_history(tmp_path).read(10)] == [0, 1, 2, 3, 4]
    assert [p.number for p in open_history(tmp_path).read(2)] == [3, 4]


def test_it_never_grows_beyond_its_bound_and_keeps_the_newest(tmp_path: Path) -> None:
    history = open_history(tmp_path)
    for number in range(500):
        history.append(Point(number))
        files = list(tmp_path.iterdir())
        assert len(files) <= 3
        assert sum(path.stat().st_size for path in files) <= 3 * 256
    numbers = [p.number for p in history.read(1000)]
    assert numbers == list(range(numbers[0], 500))
    assert len(numbers) >= 20


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 40), st.binary(max_size=20).filter(lambda tail: b"\n" not in tail))
def test_a_cut_at_any_byte_loses_at_most_the_last_record(cut: int, rubbish: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        history = open_history(directory)
        for number in range(3):
            history.append(Point(number))
        (path,) = directory.iterdir()
        whole = path.read_bytes()
        last = whole.rindex(b"\n", 0, -1) + 1
        path.write_bytes(whole[:last] + whole[last:-1][:cut] + rubbish)
        mended = open_history(directory)
        assert [p.number for p in mended.read(10)] == [0, 1]
        mended.append(Point(9))
        assert [p.number for p in open_history(directory).read(10)] == [0, 1, 9]


def test_a_damaged_line_is_left_out_and_the_others_stay(tmp_path: Path) -> None:
    history = open_history(tmp_path)
    for number in range(3):
        history.append(Point(number))
    (path,) = tmp_path.iterdir()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"number": "\xff"}\n' + lines[2])
    assert [p.number for p in open_history(tmp_path).read(10)] == [0, 2]


def test_a_full_disk_is_told_and_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = open_history(tmp_path)
    history.append(Point(1))

    def short(self: History[Point], path: Path, line: bytes) -> None:
        with path.open("ab") as file:
            file.write(line[:4])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(History, "_write", short)
    with pytest.raises(Unavailable, match="no space left"):
        history.append(Point(2))
    monkeypatch.undo()
    history.append(Point(3))
    assert [p.number for p in history.read(10)] == [1, 3]


def test_a_record_larger_than_a_segment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misuse):
        open_history(tmp_path).append(Point(1, "x" * 300))
