"""Whatever ends the demo, and wherever, leaves no process behind.

What a person sends, and what nobody can catch, come when there are devices; the third one while the
gate tries a firmware of its own.
"""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.end_to_end.demo_run import (
    processes_in,
    start,
    wait_for_devices,
    wait_for_trial,
    wait_until_gone,
)

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("number", "wait"),
    [
        (signal.SIGINT, wait_for_devices),
        (signal.SIGTERM, wait_for_trial),  # the same way out as for SIGINT, from another place
        (signal.SIGKILL, wait_for_devices),
    ],
)
def test_an_ended_demo_leaves_no_process_behind(
    number: signal.Signals,
    wait: Callable[[subprocess.Popen[str], Path], None],
    tmp_path: Path,
) -> None:
    directory = tmp_path / "demo"
    demo = start(directory, "--devices", "3", gate=wait is wait_for_trial)
    wait(demo, directory)
    assert len(processes_in(tmp_path)) > 3
    demo.send_signal(number)
    output, _ = demo.communicate(timeout=60)
    # A shell shows both as 130; Python ends itself by SIGINT if it was interrupted in an import.
    ended = (-signal.SIGKILL,) if number is signal.SIGKILL else (130, -signal.SIGINT)
    assert demo.returncode in ended, output[-3000:]
    assert "The story broke off" not in output
    assert "Traceback" not in output
    assert wait_until_gone(tmp_path) == []
    if number is not signal.SIGKILL:
        assert list((tmp_path / "temporary").iterdir()) == []
