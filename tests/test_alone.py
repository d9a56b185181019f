"""Who measures runs alone, and last."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.alone import place


def begin(directory: Path, *, alone: bool, held: threading.Event) -> threading.Event:
    """A test of another worker: has its place until `held` is set; the event says that it has."""
    has = threading.Event()

    def run() -> None:
        with place(directory, alone=alone):
            has.set()
            held.wait(30)

    threading.Thread(target=run, daemon=True).start()
    return has


@pytest.mark.parametrize(("first", "second"), [(False, True), (True, False), (True, True)])
def test_nobody_runs_beside_a_test_that_measures(tmp_path: Path, first: bool, second: bool) -> None:
    over, later = threading.Event(), threading.Event()
    assert begin(tmp_path, alone=first, held=over).wait(30)
    waits = begin(tmp_path, alone=second, held=later)
    assert not waits.wait(0.3)
    over.set()
    assert waits.wait(30)
    later.set()


def test_others_run_side_by_side(tmp_path: Path) -> None:
    over = threading.Event()
    assert all(begin(tmp_path, alone=False, held=over).wait(30) for _ in range(3))
    over.set()


def test_tests_that_measure_are_collected_last() -> None:
    files = ["tests/attack/test_flood.py", "tests/https/test_pace.py"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "timeout",
        "--collect-only",
        "-q",
        "-m",
        "",
        *files,
    ]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = [line.partition("::")[0] for line in said.splitlines() if "::" in line]
    assert set(found) == set(files)
    assert found == sorted(found, reverse=True), "in the order of the command they came first"
