"""Records a life: `tests.cuts.life` under strace(1), read into operations.

Owns the working directory of one recording. Needs the Debian package strace.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cuts.calls import STRACE, read_calls
from tests.cuts.operations import Recording
from tests.cuts.recorder import record

__all__ = ["Recorded", "make_recording"]

LONGEST_SECONDS = 900
STOP_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a recording left: its operations, and the vendors as they were (see `life`)."""

    work: Path
    device: Recording

    def vendor(self, version: str) -> Path:
        """The vendor while it offered `version`."""
        return self.work / f"vendor-{version}"


def make_recording(work: Path) -> Recorded:
    """Live a life below the new directory `work`, and read what it did to the device."""
    work.mkdir(parents=True)
    trace = work / "trace"
    command = [*STRACE, "-o", str(trace), sys.executable, "-m", "tests.cuts.life", str(work)]
    with subprocess.Popen(command, start_new_session=True) as tracer:
        try:
            status = tracer.wait(LONGEST_SECONDS)
        except BaseException:  # the life stops its device, and the tracer ends with the life
            os.killpg(tracer.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                tracer.wait(STOP_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(tracer.pid, signal.SIGKILL)
            raise
    if status:
        raise subprocess.CalledProcessError(status, command)
    return read_recording(work)


def read_recording(work: Path) -> Recorded:
    """What `make_recording` left in `work`."""
    calls = read_calls(work / "trace")
    places = {"root": work / "device", "before": work / "before", "marks": work / "marks"}
    return Recorded(work, record(calls, **places))
