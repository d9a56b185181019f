"""A demo under way: started as a person starts it, and the processes that belong to it."""

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

GONE_SECONDS = 60.0
PATIENCE_SECONDS = 240.0  # a machine may have much else to do

WITHOUT_THE_GATE = """
import sys
from limpet.demo import performance
from limpet.demo.scenes.gating import GATE
performance.SCENES = tuple(scene for scene in performance.SCENES if scene is not GATE)
from limpet.cli.main import main
sys.exit(main())
"""


def start(directory: Path, *options: str, gate: bool = True) -> subprocess.Popen[str]:
    """A demo in `directory`, whose temporary files lie beside that, in `temporary`.

    Without the scene that the gate has of its own, if it is not asked for: then devices come
    half a minute of a processor earlier.
    """
    temporary = directory.with_name("temporary")
    temporary.mkdir()
    program = ("-m", "limpet") if gate else ("-c", WITHOUT_THE_GATE)
    temporary.chmod(0o755)  # a device's users come through
    return subprocess.Popen(
        [sys.executable, "-I", *program, "demo", "--keep", str(directory), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        # As in a terminal: a run of tests in the background ignores it, and its children would.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def processes_in(directory: Path | str) -> list[str]:
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


def wait_for_devices(demo: subprocess.Popen[str], directory: Path) -> None:
    """Until three devices listen."""
    listening = "devices/*/run/listening.json"
    _wait(demo, lambda: len(list(directory.glob(listening))) >= 3)


def wait_for_trial(demo: subprocess.Popen[str], directory: Path) -> None:
    """Until the gate has started a device of the firmware that it judges."""
    trial = str(directory.with_name("temporary") / "limpet-trial-")
    _wait(demo, lambda: any("limpet.device.app" in line for line in processes_in(trial)))


def _wait(demo: subprocess.Popen[str], looks: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not looks():
        if demo.poll() is not None or time.monotonic() > deadline:
            demo.terminate()
            output, _ = demo.communicate(timeout=60)
            raise AssertionError(f"the demo did not come so far ({demo.returncode}): {output}")
        time.sleep(0.1)
