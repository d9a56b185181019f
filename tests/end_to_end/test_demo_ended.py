"""Whatever ends the demo leaves no process behind."""

import signal
from pathlib import Path

import pytest
from tests.end_to_end.demo_run import processes_in, start, wait_for_devices, wait_until_gone

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(240)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_ended_demo_leaves_no_process_behind(number: signal.Signals, tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    demo = start(directory, "--devices", "3")
    wait_for_devices(directory)
    assert len(processes_in(directory)) > 3
    demo.send_signal(number)
    output, _ = demo.communicate(timeout=30)
    # A shell shows both as 130; Python ends itself by SIGINT if it was interrupted in an import.
    ended = (-signal.SIGKILL,) if number is signal.SIGKILL else (130, -signal.SIGINT)
    assert demo.returncode in ended, output[-3000:]
    assert "The story broke off" not in output
    assert "Traceback" not in output
    assert wait_until_gone(directory) == []
