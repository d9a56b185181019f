"""Temporary directories do not outlive who made them by more than the next one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cuts.scratch import YOUNG_SECONDS, scratch

HOLD = """
import sys, time
from pathlib import Path
from tests.cuts.scratch import exit_on_sigterm, scratch
exit_on_sigterm()
with scratch(Path(sys.argv[1])) as made:
    (made / "state").mkdir()
    print(made, flush=True)
    time.sleep(60)
"""


def held(where: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process in a directory of its own."""
    command = [sys.executable, "-c", HOLD, str(where)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_of_who_is_stopped(tmp_path: Path, number: signal.Signals) -> None:
    process, made = held(tmp_path)
    assert made.is_dir()
    process.send_signal(number)
    assert process.wait(60) != 0
    assert not list(tmp_path.iterdir())


def test_what_the_dead_left_goes_with_the_next_and_what_the_living_use_stays(
    tmp_path: Path,
) -> None:
    (dead, left), (living, used) = held(tmp_path), held(tmp_path)
    dead.kill()
    dead.wait(60)
    assert left.is_dir()
    try:
        old = time.time() - 2 * YOUNG_SECONDS
        for one in (left, used):
            os.utime(one, (old, old))
        with scratch(tmp_path) as made:
            assert sorted(tmp_path.iterdir()) == sorted([made, used])
    finally:
        living.terminate()
        living.wait(60)
