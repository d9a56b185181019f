"""The way back from a trial, cut at every instant and in every order: what the owner set stays."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cuts.calls import STRACE, read_calls
from tests.cuts.disk import Disk, Node
from tests.cuts.operations import Entries, Recording, Sync
from tests.cuts.place import write_node
from tests.cuts.recorder import record
from tests.needs import need

from limpet.device.supervisor._kept import LEFT_BEHIND, settle_state
from limpet.storage import write_atomic

TRIED, RUNNING = "a" * 64, "b" * 64
SETTING, OLD, NEW = "settings.1.json", b"set before the trial", b"set during the trial"
MOST_LOOSE = 9  # all subsets up to so many; else those that lose or keep the newest

BACK = f"""
import os, sys
from pathlib import Path
root, marks = sys.argv[1:]
out = os.open(marks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
os.write(out, b'{{"mark": "power-on"}}\\n')
from limpet.device.supervisor._kept import settle_state
settle_state(Path(root), {RUNNING!r}, on_trial=False)
"""


@pytest.fixture(scope="module")
def back(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A trial in which the owner set something was given up: the recorded way back."""
    need("strace", package="strace", untried="the way back was not cut")
    work = tmp_path_factory.mktemp("back")
    root = work / "root"
    (root / "app").mkdir(parents=True)
    write_atomic(root / "app" / SETTING, OLD)
    settle_state(root, TRIED, on_trial=True)
    write_atomic(root / "app" / SETTING, NEW)
    shutil.copytree(root, work / "before")
    command = [*STRACE, "-o", str(work / "trace"), sys.executable, "-c", BACK]
    subprocess.run([*command, str(root), str(work / "marks")], check=True, timeout=150)
    calls = read_calls(work / "trace")
    return record(calls, root=root, before=work / "before", marks=work / "marks")


def states(recording: Recording) -> Iterator[Node]:
    """Every distinct disk that a cut may leave."""
    disk, seen = Disk(recording), set()
    for operation in recording.operations:
        disk.apply(operation)
        loose = list(disk.loose())
        older, newest = loose[:-MOST_LOOSE], loose[-MOST_LOOSE:]
        for bits in range(1 << len(newest)):
            kept = {one for at, one in enumerate(newest) if bits >> at & 1}
            for below in (set(older), set()) if older else (set(),):
                root = disk.state(frozenset(kept | below), {})
                if root.key not in seen:
                    seen.add(root.key)
                    yield root


def lost(recording: Recording, scratch: Path) -> tuple[int, int]:
    """How many states there are, and of how many what the owner set is lost after a start."""
    count = wrong = 0
    for state in states(recording):
        count += 1
        root = scratch / "state"
        write_node(state, root)
        settle_state(root, RUNNING, on_trial=False)
        left = root / "app" / LEFT_BEHIND / SETTING
        is_whole = left.is_file() and left.read_bytes() == NEW
        wrong += not is_whole or (root / "app" / SETTING).read_bytes() != OLD
        shutil.rmtree(root)
    return count, wrong


def test_what_was_set_during_a_trial_outlives_a_cut_on_the_way_back(
    back: Recording, tmp_path: Path
) -> None:
    count, wrong = lost(back, tmp_path)
    assert count >= 8
    assert wrong == 0


def test_without_the_directorys_own_name_it_would_not(back: Recording, tmp_path: Path) -> None:
    moved = next(
        number
        for number, one in enumerate(back.operations)
        if isinstance(one, Entries) and any(name == SETTING for _, name, _ in one.changes)
    )
    made = range(moved - 2, moved)  # the fsyncs between the directory and the move into it
    assert all(isinstance(back.operations[number], Sync) for number in made)
    careless = [one for number, one in enumerate(back.operations) if number not in made]
    assert lost(Recording(back.inodes, tuple(careless)), tmp_path)[1] > 0
