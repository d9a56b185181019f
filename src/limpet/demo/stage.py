"""The stage: one directory, the processes that run in it, and limpet's own commands.

Owns every process of the demo. Whatever happens (a failed scene, Ctrl-C, an
exception), leaving the stage ends each of them and waits until it is gone.
"""

import contextlib
import ctypes
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from limpet.errors import LimpetError, Unavailable

__all__ = ["Missed", "Stage", "wait_for"]

T = TypeVar("T")
STOP_SECONDS = 15.0
POLL_SECONDS = 0.05
ERROR_LINES = 5
_PR_SET_PDEATHSIG = 1  # prctl(2)


class Missed(LimpetError):
    """A scene did not show what it promised to show."""

    exit_code = 1


def wait_for(what: str, look: Callable[[], T | None], *, seconds: float) -> T:
    """The first thing that `look` returns other than None, within `seconds`; else `Missed`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(POLL_SECONDS)
    raise Missed(f"waited {seconds:.0f} s in vain for {what}")


_libc = ctypes.CDLL(None)


def _end_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.contextmanager
def _typing(text: str) -> Iterator[None]:
    kept, sys.stdin = sys.stdin, io.StringIO(text)
    try:
        yield
    finally:
        sys.stdin = kept


class Stage:
    """A directory and the processes started in it; a context manager that leaves none behind."""

    def __init__(self, directory: Path, *, show_command: Callable[[str], None]) -> None:
        self.directory = directory
        self._show_command = show_command
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._behind: dict[str, list[list[str]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def limpet(
        self,
        *words: str | Path,
        statuses: tuple[int, ...] = (0,),
        typed: str = "",
        json_option: tuple[str, ...] = ("--json",),
    ) -> Any:
        """Run a limpet command in this process with `--json`; what it printed, decoded.

        The same code as `./run COMMAND`, without a new interpreter for each. `typed` is given
        on standard input. Raises `Missed` unless the exit status is one of `statuses`, and
        `KeyboardInterrupt` again where the command was interrupted: that ends the demo, too.
        """
        # Here, because the command line imports the demo.
        from limpet.cli._frame import EXIT_INTERRUPTED
        from limpet.cli.main import run

        arguments = [str(word) for word in words]
        self._show_command(self._line(arguments))
        printed, complained = io.StringIO(), io.StringIO()
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(complained),
            _typing(typed),
        ):
            ended = run([*arguments, *json_option])
        if ended == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        if ended not in statuses:
            lines = (complained.getvalue() or printed.getvalue()).strip().splitlines()
            said = " / ".join(lines[:ERROR_LINES])
            raise Missed(f"limpet {' '.join(arguments[:2])} ended with {ended}: {said}")
        text = printed.getvalue().strip()
        return json.loads(text) if text.startswith(("{", "[")) else text

    def start(self, name: str, *words: str | Path) -> subprocess.Popen[bytes]:
        """Start a limpet command that keeps running; its output goes to `<name>.out`."""
        arguments = [str(word) for word in words]
        self._show_command(f"{self._line(arguments)} &")
        return self._start(name, "limpet", *arguments)

    def start_behind(self, name: str, commands: Sequence[Sequence[str | Path]]) -> None:
        """Start limpet commands that run one after the other; `finish` waits for the last."""
        lines = [[str(word) for word in words] for words in commands]
        self._behind[name] = lines
        self._start(name, "limpet.demo.backstage", msgspec.json.encode(lines).decode())

    def finish(self, name: str, *, seconds: float) -> None:
        """Wait for what `start_behind` started, and show its commands. Raises `Missed`."""
        process = self._processes[name]
        for line in self._behind.pop(name):
            self._show_command(self._line(line))
        ended = wait_for(f"{name} to end", process.poll, seconds=seconds)
        del self._processes[name]
        if ended:
            said = " / ".join(self.output(name).strip().splitlines()[-ERROR_LINES:])
            raise Missed(f"{name} ended with {ended}: {said}")

    def _start(self, name: str, *module_and_arguments: str) -> subprocess.Popen[bytes]:
        with (self.directory / f"{name}.out").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-I", "-m", *module_and_arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C reaches this process only, which then ends the others in order;
                # should it be killed itself, the kernel ends them.
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        self._processes[name] = process
        return process

    def output(self, name: str) -> str:
        """What a started command has printed so far."""
        try:
            return (self.directory / f"{name}.out").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def verify_running(self, name: str) -> None:
        """Raise `Unavailable` with the command's own words if it has ended."""
        ended = self._processes[name].poll()
        if ended is not None:
            said = " / ".join(self.output(name).strip().splitlines()[-ERROR_LINES:])
            raise Unavailable(f"{name} ended with {ended}: {said}")

    def stop(self, name: str) -> None:
        """End one process and wait for it."""
        self._end([self._processes.pop(name)])

    def close(self) -> None:
        """End every process: the devices first, then the vendor that they call."""
        processes = list(self._processes.values())
        self._processes.clear()
        self._end(list(reversed(processes)))

    def _end(self, processes: list[subprocess.Popen[bytes]]) -> None:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _line(self, words: Sequence[str]) -> str:
        return "limpet " + " ".join(word.replace(f"{self.directory}/", "") for word in words)
