"""The guard: an output goes safe whatever ends the process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from limpet.device.app import SafeWrite
from limpet.device.app._guard import MAX_SAFE_WRITES, Guard
from limpet.errors import Misuse, Rejected, Unavailable

PROGRAM = """
import sys, time
from pathlib import Path
from limpet.device.app._guard import Guard, SafeWrite
guard = Guard()
if sys.argv[2] == "guarded":
    guard.arm(SafeWrite(Path(sys.argv[1]), b"0"))
guard.start(lambda: None)
Path(sys.argv[1]).open("r+b").write(b"1")
print("on", flush=True)
if sys.argv[3] == "stop":
    guard.stop()
    print("stopped", flush=True)
time.sleep(60)
"""


def start(line: Path, *, guarded: bool = True, then: str = "wait") -> subprocess.Popen[str]:
    line.write_bytes(b"0\n")
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, line, "guarded" if guarded else "bare", then],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "on\n"
    return process


def becomes(line: Path, content: bytes) -> bool:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if line.read_bytes() == content:
            return True
        time.sleep(0.02)
    return False


def test_a_killed_process_leaves_its_output_off(tmp_path: Path) -> None:
    line = tmp_path / "line"
    process = start(line)
    assert line.read_bytes() == b"1\n"
    process.kill()
    process.communicate()
    assert becomes(line, b"0\n")


def test_without_the_guard_it_would_stay_on(tmp_path: Path) -> None:
    line = tmp_path / "line"
    process = start(line, guarded=False)
    process.kill()
    process.communicate()
    time.sleep(0.3)
    assert line.read_bytes() == b"1\n"


def test_a_signal_to_the_whole_group_does_not_end_the_guard_first(tmp_path: Path) -> None:
    line = tmp_path / "line"
    process = start(line)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert becomes(line, b"0\n")


def test_an_orderly_stop_waits_until_the_output_is_off(tmp_path: Path) -> None:
    line = tmp_path / "line"
    process = start(line, then="stop")
    assert process.stdout is not None
    assert process.stdout.readline() == "stopped\n"
    assert line.read_bytes() == b"0\n"
    process.kill()
    process.communicate()


def test_an_output_that_cannot_be_guarded_stops_the_start(tmp_path: Path) -> None:
    guard = Guard()
    guard.arm(SafeWrite(tmp_path / "missing", b"0"))
    with pytest.raises(Unavailable, match="cannot guard"):
        guard.start(lambda: None)


def test_a_guard_that_cannot_confine_itself_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "line").write_bytes(b"0")
    guard = Guard()
    guard.arm(SafeWrite(tmp_path / "line", b"0"))

    def refuse() -> None:
        raise Rejected("not-confined", "this kernel cannot")

    with pytest.raises(Unavailable, match="ended at its start"):
        guard.start(refuse)


def test_more_or_larger_writes_than_the_bounds_are_refused(tmp_path: Path) -> None:
    guard = Guard()
    for data in (b"", b"x" * 65):
        with pytest.raises(Misuse):
            guard.arm(SafeWrite(tmp_path / "line", data))
    for _ in range(MAX_SAFE_WRITES):
        guard.arm(SafeWrite(tmp_path / "line", b"0"))
    with pytest.raises(Misuse):
        guard.arm(SafeWrite(tmp_path / "line", b"0"))
