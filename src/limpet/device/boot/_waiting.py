"""The program that boot becomes for the device's life: start what was chosen, wait, clean up.

Owns the supervisor's process and its whole process group: when the supervisor ends,
however it ends, nothing of it is left. Signals are taken by waiting for them, so
that none comes at a bad moment. Decides no slot and reads no file: `choosing` does, in
a process of its own that ends, so that what waits for years is small. Imports nothing of
limpet, and of the library only what a wait needs (docs/adr/0105). Run by its path:

    python -I -S _waiting.py ROOT HELD FACTORY COMMAND...

HELD are the descriptors of boot's locks, with commas between; FACTORY is 0 or 1; COMMAND
starts `choosing`, which is told what to do by the words after it.
"""

import os
import signal
import sys
import time

REBOOT = 75
"""The supervisor's wish that a slot is chosen again (BSD's EX_TEMPFAIL)."""

STOP_SECONDS = 4.5  # from SIGTERM to SIGKILL of the group
REAP_SECONDS = 2.0  # for what was killed to be gone
ANSWER_BYTES = 32 << 10  # of `choosing`; a pipe holds it, so that it never waits for us
FIRST_DELAY, LONGEST_DELAY, STEADY_SECONDS = 0.5, 30.0, 60.0
HIGHEST_DESCRIPTOR = 4096
_STOPPING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
WAITED = {*_STOPPING, signal.SIGCHLD}


class Failed(Exception):
    """`choosing` could not do what it was asked to, and has said why; `status` is its own."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Stopped(Exception):
    """We were told to stop while `choosing` was at work."""


def decide_delay(crashes: int, *, lived: float) -> tuple[int, float]:
    """After a crash of the supervisor: crashes in a row, and seconds before the next start."""
    crashes = 1 if lived >= STEADY_SECONDS else crashes + 1
    return crashes, float(min(FIRST_DELAY * 2 ** min(crashes - 1, 16), LONGEST_DELAY))


class Boot:
    """One device's run. `command` starts `choosing`."""

    def __init__(self, command: list[str], *, factory: bool) -> None:
        self._command = command
        self._factory = factory
        self._pid = 0  # of the supervisor, which leads the group

    def run(self) -> int:
        """Start slots until asked to stop; the exit status."""
        crashes = 0
        try:
            while True:
                slot, deadline, *supervisor = self._ask("choose")
                since = time.monotonic()
                status = self._run_slot(slot, supervisor, deadline)
                if status is None or status == 0 or self._factory:
                    return status or 0
                if status == REBOOT:
                    crashes = 0
                    continue
                self._ask("log", "supervisor-ended", f"exit status {status}")
                crashes, delay = decide_delay(crashes, lived=time.monotonic() - since)
                if _wait_for_stop(delay):
                    return 0
        except Stopped:
            return 0
        except Failed as failed:
            return failed.status
        finally:
            self._end_group()

    def _ask(self, *request: str) -> list[str]:
        """The words with which `choosing` answers, once it has ended. What it decided is durable.

        Raises `Failed`, `Stopped`.
        """
        reading, writing = os.pipe()
        try:
            pid = _start([*self._command, *request], output=writing)
            os.close(writing)
            while (status := _status_of(pid)) is None:
                if _next_signal(None) in _STOPPING:
                    os.kill(pid, signal.SIGKILL)  # its writes are atomic
                    os.waitpid(pid, 0)
                    raise Stopped
            if status != 0:
                raise Failed(status if status > 0 else 1)
            return os.read(reading, ANSWER_BYTES).decode(errors="surrogateescape").split("\0")
        finally:
            os.close(reading)

    def _run_slot(self, slot: str, supervisor: list[str], deadline: str) -> int | None:
        """Run the slot to its end: the supervisor's exit status, None if we were told to stop.

        A slot on trial has a deadline, in seconds from now.
        """
        until = time.monotonic() + float(deadline) if deadline else None
        self._pid = _start(supervisor, leads=True, converses=self._factory)
        try:
            while True:
                status = _status_of(self._pid)
                if status is not None:
                    return status
                got = _next_signal(None if until is None else max(until - time.monotonic(), 0.0))
                if got in _STOPPING:
                    self._stop()
                    return None
                if until is not None and time.monotonic() >= until:
                    if self._ask("confirmed", slot) != ["yes"]:
                        self._end_group()
                        self._ask("log", "trial-ended", "not confirmed within its deadline")
                        return REBOOT
                    until = None
        finally:
            self._end_group()

    def _stop(self) -> None:
        os.kill(self._pid, signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        while _status_of(self._pid) is None and time.monotonic() < until:
            _next_signal(min(0.2, max(until - time.monotonic(), 0)))

    def _end_group(self) -> None:
        """Kill what is left of the supervisor's group, and reap it (bounded)."""
        if not self._pid:
            return
        until = time.monotonic() + REAP_SECONDS
        while time.monotonic() < until:
            try:  # noqa: SIM105 - contextlib is what a wait does without
                os.killpg(self._pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            if not _reap():
                break
            time.sleep(0.01)
        self._pid = 0


def _start(
    command: list[str], *, output: int | None = None, leads: bool = False, converses: bool = False
) -> int:
    """Start a program with our stderr; its process id. It inherits nothing else.

    `output` is its stdout. With `leads` it has a session of its own, so that a terminal's Ctrl-C
    is for us alone and the group is ours; `converses` gives it our stdin and stdout.
    """
    actions: list[tuple[int, int, str, int, int] | tuple[int, int, int]] = []
    if not converses:
        actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
        if output is None:
            actions.append((os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0))
        else:
            actions.append((os.POSIX_SPAWN_DUP2, output, 1))
    return os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=leads)


def _status_of(pid: int) -> int | None:
    """The exit status of a child that has ended (negative: the signal); None while it lives."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 1  # reaped with its group
    return os.waitstatus_to_exitcode(status) if ended else None


def _wait_for_stop(seconds: float) -> bool:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if _next_signal(left) in _STOPPING:
            return True
    return False


def _next_signal(seconds: float | None) -> int | None:
    """The next signal of those that boot waits for, or None after `seconds`."""
    if seconds is None:
        return signal.sigwaitinfo(WAITED).si_signo
    got = signal.sigtimedwait(WAITED, seconds)
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


def _keep_only(held: list[int]) -> None:
    """Of the descriptors that came with us keep stdin, stdout, stderr and `held`, and these for us
    alone."""
    kept = [2, *sorted(held)]
    for low, high in zip(kept, [*kept[1:], HIGHEST_DESCRIPTOR], strict=True):
        os.closerange(low + 1, high)
    for descriptor in held:
        os.set_inheritable(descriptor, False)


if __name__ == "__main__":
    # Blocked across the exec already, except where a shell stands between (it unblocks SIGCHLD).
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITED)
    _keep_only([int(number) for number in sys.argv[2].split(",")])
    sys.exit(Boot(sys.argv[4:], factory=sys.argv[3] == "1").run())
