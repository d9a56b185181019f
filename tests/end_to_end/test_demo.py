"""The demo, whole: it does what it says, and whatever ends it leaves no process behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(240)]

SCENES = 12
STATEMENTS = 65
GONE_SECONDS = 15.0


def start(directory: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-I", "-m", "limpet", "demo", "--keep", str(directory), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def processes_in(directory: Path) -> list[str]:
    """The command lines of all processes that name `directory`, or work in it."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(directory) in line:
            found.append(line)
    return found


def wait_until_gone(directory: Path) -> list[str]:
    deadline = time.monotonic() + GONE_SECONDS
    while (left := processes_in(directory)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def wait_for_devices(directory: Path) -> None:
    deadline = time.monotonic() + 60
    while len(list(directory.glob("devices/*/run/listening.json"))) < 3:
        assert time.monotonic() < deadline, "the devices did not start"
        time.sleep(0.1)


def test_every_scene_shows_what_it_says_and_the_audit_fails_nothing(tmp_path: Path) -> None:
    directory, record = tmp_path / "demo", tmp_path / "demo.json"
    demo = start(directory, "--devices", "3", "--json", str(record))
    output, _ = demo.communicate(timeout=200)
    assert demo.returncode == 0, output[-3000:]
    told = json.loads(record.read_text())
    assert told["ok"] is True
    assert [scene["ok"] for scene in told["scenes"]] == [True] * SCENES
    assert all(scene["facts"] for scene in told["scenes"])
    verdicts = {entry["statement"]: entry["verdict"] for entry in told["audit"]["entries"]}
    assert len(verdicts) == STATEMENTS
    assert "fail" not in verdicts.values()
    assert verdicts["R2.2.1"] == verdicts["R2.4.5a"] == verdicts["R2.5a"] == "pass"
    assert wait_until_gone(directory) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_ended_demo_leaves_no_process_behind(number: signal.Signals, tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    demo = start(directory, "--devices", "3")
    wait_for_devices(directory)
    assert len(processes_in(directory)) > 3
    demo.send_signal(number)
    output, _ = demo.communicate(timeout=30)
    assert demo.returncode == (-9 if number is signal.SIGKILL else 130)
    assert "Traceback" not in output
    assert wait_until_gone(directory) == []


def test_a_directory_that_exists_is_not_touched(tmp_path: Path) -> None:
    kept = tmp_path / "mine"
    kept.mkdir()
    demo = start(kept)
    output, _ = demo.communicate(timeout=30)
    assert demo.returncode == 3
    assert "exists" in output
    assert list(kept.iterdir()) == []
