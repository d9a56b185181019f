"""A demo under way: started as a person starts it, and the processes that belong to it."""

import os
import subprocess
import sys
import time
from pathlib import Path

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
