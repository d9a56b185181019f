"""limpet's commands, each in a process of its own, without a new interpreter for each.

This module is a program, too: it loads the command line once and forks for every command that it
is told. The fork has its own directory, environment, files, memory and end, as a shell's command
has. What a fresh interpreter adds are imports, a second of a slow processor: `python -m limpet` is
tried by the tests that start services, and by those that a person's first command is.
"""

import atexit
import functools
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from tests.packing import pack_lightly

__all__ = ["limpet"]

SECONDS = 150.0
"""For one command, at most."""
LOADED = (
    "limpet.cli.advisory", "limpet.cli.audit", "limpet.cli.device", "limpet.cli.factory",
    "limpet.cli.owner", "limpet.cli.product", "limpet.cli.release", "limpet.cli.rollout",
    "limpet.cli.vendor", "limpet.release.sbom._writing", "limpet.vendor.factory.station",
    "limpet.vendor.repository.founding", "limpet.vendor.repository.renewal", "limpet.vendor.store",
    "rich.console", "rich.table", "typer._adapters",
)  # fmt: skip
"""What commands import, and most of what they import late."""


def limpet(
    *words: object,
    directory: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    seconds: float = SECONDS,
) -> subprocess.CompletedProcess[str]:
    """Run `limpet` with `words` in `directory`, with `env` and nothing else in its environment.

    Raises `subprocess.TimeoutExpired`, and has killed the command then.
    """
    return _forks().run([str(word) for word in words], directory, env, stdin, seconds)


class _Forks:
    """The program's end in the tests: one command at a time."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._lock = threading.Lock()
        self._socket = ours
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.commands", str(theirs.fileno())],
                cwd=Path(__file__).parents[1],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._lines = ours.makefile("r")
        atexit.register(self._close)

    def _close(self) -> None:
        self._lines.close()
        self._socket.close()
        self._process.wait(SECONDS)

    def run(
        self,
        words: list[str],
        directory: Path | None,
        env: Mapping[str, str] | None,
        stdin: str,
        seconds: float,
    ) -> subprocess.CompletedProcess[str]:
        with self._lock, tempfile.TemporaryDirectory(prefix="limpet-command-") as place:
            files = [str(Path(place) / name) for name in ("in", "out", "err")]
            Path(files[0]).write_text(stdin)
            order = {
                "words": words,
                "directory": str(directory or Path.cwd()),
                "env": dict(os.environ if env is None else env),
                "files": files,
            }
            self._socket.settimeout(None)
            self._socket.sendall(json.dumps(order).encode() + b"\n")
            pid = int(self._lines.readline())
            late = threading.Timer(seconds, os.kill, (pid, signal.SIGKILL))
            late.start()
            status = int(self._lines.readline())
            in_time = late.is_alive()
            late.cancel()
            if status == -signal.SIGKILL and not in_time:
                raise subprocess.TimeoutExpired(words, seconds)
            said = [Path(file).read_text() for file in files[1:]]
            return subprocess.CompletedProcess(words, status, *said)


@functools.cache
def _forks() -> _Forks:
    return _Forks()


def _serve(control: socket.socket) -> None:
    """Fork for each order; tell the process, and how it ended."""
    pack_lightly()
    for name in LOADED:
        importlib.import_module(name)
    with control.makefile("rw") as lines:
        for line in lines:
            pid = os.fork()
            if not pid:
                _be(json.loads(line), control)
            print(pid, file=lines, flush=True)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            print(status, file=lines, flush=True)


def _be(order: dict[str, Any], control: socket.socket) -> NoReturn:
    """The command, from here to its end."""
    from limpet.cli.main import main

    status = 1
    try:
        os.setsid()
        os.close(control.detach())
        os.chdir(order["directory"])
        os.environ.clear()
        os.environ.update(order["env"])
        modes = (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT)
        for number, (file, mode) in enumerate(zip(order["files"], modes, strict=True)):
            os.dup2(os.open(file, mode, 0o600), number)
        sys.argv = ["limpet", *order["words"]]
        status = main()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
