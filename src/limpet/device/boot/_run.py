"""Starting the chosen slot, again and again, until told to stop.

Owns the supervisor's process and its whole process group: when the supervisor ends,
however it ends, nothing of it is left. Signals are taken by waiting for them, so
that none comes at a bad moment.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from limpet.device.boot._choice import VerifiedSlot, choose_slot, is_confirmed
from limpet.device.boot._policy import decide_deadline, decide_delay
from limpet.device.link.journal import Journal
from limpet.device.link.launch import child_environment, role_command
from limpet.device.link.permits import Role
from limpet.device.link.start import Start, start_arguments

__all__ = ["REBOOT", "Boot"]

REBOOT = 75
"""The supervisor's wish that a slot is chosen again (BSD's EX_TEMPFAIL)."""

STOP_SECONDS = 4.5  # from SIGTERM to SIGKILL of the group
REAP_SECONDS = 2.0  # for what was killed to be gone
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_STOPPING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_WAITED = {*_STOPPING, signal.SIGCHLD}


class Boot:
    """One device's run."""

    def __init__(
        self,
        root: Path,
        journal: Journal,
        *,
        factory: bool,
        options: Mapping[str, tuple[str, ...]],
        trial_deadline: float | None,
    ) -> None:
        self._root = root
        self._journal = journal
        self._factory = factory
        self._options = options
        self._trial_deadline = trial_deadline
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Start slots until asked to stop; the exit status. Raises `Rejected("no-slot")`."""
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans come to us
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED)
        (self._root / "run" / "listening.json").unlink(missing_ok=True)
        crashes = 0
        try:
            while True:
                slot = choose_slot(self._root, self._journal)
                since = time.monotonic()
                status = self._run_slot(slot)
                if status is None or status == 0 or self._factory:
                    return status or 0
                if status == REBOOT:
                    crashes = 0
                    continue
                self._log("supervisor-ended", f"exit status {status}", level="error")
                crashes, delay = decide_delay(crashes, lived=time.monotonic() - since)
                if self._wait_for_stop(delay):
                    return 0
        finally:
            self._end_group()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _run_slot(self, slot: VerifiedSlot) -> int | None:
        """Run the slot to its end: the supervisor's exit status, None if we were told to stop."""
        choice = slot.choice
        deadline = None
        if choice.on_trial:
            seconds = decide_deadline(self._trial_deadline, self._root / "slots" / choice.slot)
            deadline = time.monotonic() + seconds
        what = f"slot {choice.slot}, version {choice.record.version}"
        self._log("starting", f"{what}, on trial" if choice.on_trial else what)
        self._start(slot)
        try:
            return self._wait(slot, deadline)
        finally:
            self._end_group()

    def _start(self, slot: VerifiedSlot) -> None:
        start = Start(
            role=Role.SUPERVISOR,
            root=self._root,
            slot=slot.choice.slot,
            parent=os.getpid(),
            factory=self._factory,
            options=self._options,
        )
        conversation = None if self._factory else subprocess.DEVNULL
        self._process = subprocess.Popen(
            role_command(start.slot_path, "supervisor", start_arguments(start)),
            stdin=conversation,
            stdout=conversation,
            env=child_environment(),
            start_new_session=True,  # the terminal's Ctrl-C is for us alone, and the group is ours
        )

    def _wait(self, slot: VerifiedSlot, deadline: float | None) -> int | None:
        process = self._process
        while process is not None:
            status = process.poll()
            if status is not None:
                return status
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            got = _next_signal(left)
            if got in _STOPPING:
                self._stop(process)
                return None
            if deadline is not None and time.monotonic() >= deadline:
                if not is_confirmed(self._root, slot):
                    self._end_group()
                    self._log("trial-ended", "not confirmed within its deadline", level="error")
                    return REBOOT
                deadline = None
        return None

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        until = time.monotonic() + STOP_SECONDS
        while process.poll() is None and time.monotonic() < until:
            _next_signal(min(0.2, max(until - time.monotonic(), 0)))

    def _end_group(self) -> None:
        """Kill what is left of the supervisor's group, and reap it (bounded)."""
        if self._process is None:
            return
        group = self._process.pid
        until = time.monotonic() + REAP_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            self._process.poll()
            if not _reap():
                break
            time.sleep(0.01)
        self._process = None

    def _wait_for_stop(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if _next_signal(left) in _STOPPING:
                return True
        return False

    def _log(self, event: str, detail: str, *, level: str = "info") -> None:
        self._journal.write("boot", event, detail, level=level)
        if level == "error":
            print(f"boot: {event}: {detail}", file=sys.stderr, flush=True)


def _next_signal(seconds: float | None) -> int | None:
    """The next signal of those that boot waits for, or None after `seconds`."""
    if seconds is None:
        return signal.sigwaitinfo(_WAITED).si_signo
    got = signal.sigtimedwait(_WAITED, seconds)
    return got.si_signo if got else None


def _reap() -> bool:
    """Collect dead children, orphans of the group among them; whether any child is left."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
