"""Running a program of the build machine, and what it said.

Owns the call: no input, a bounded time, bounded answers, and one clear error for a program that is
not there.
"""

import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import IO

from limpet.errors import Rejected, Unavailable

__all__ = ["OUTPUT_BYTES", "run_tool", "words_of"]

OUTPUT_BYTES = 64 << 20
"""How much a program may print; it may be made to by what it reads, as a file of zeros is small in
a squashfs."""
_PART = 64 << 10
_WORDS = 300


def run_tool(
    command: Sequence[str],
    *,
    seconds: float,
    hint: str = "",
    environment: Mapping[str, str] | None = None,
    max_bytes: int = OUTPUT_BYTES,
) -> subprocess.CompletedProcess[bytes]:
    """Run `command` to its end, whatever its status is, in `environment` or in our own.

    Raises `Unavailable` for a program that is missing (`hint` says where it is from), cannot be
    started or takes longer than `seconds`, and `Rejected("too-large")` for one that prints more
    than `max_bytes`: it is ended then, and no more than that was kept.
    """
    if shutil.which(command[0]) is None:
        raise Unavailable(f"cannot run {command[0]}", hint=hint)
    until = time.monotonic() + seconds
    try:
        with subprocess.Popen(
            tuple(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        ) as process:
            try:
                out, err = _read(process, until, max_bytes)
                process.wait(max(0.0, until - time.monotonic()))  # it closed both, and may go on
            except BaseException:
                process.kill()
                raise
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"cannot run {command[0]}: {error}") from error
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def _read(process: subprocess.Popen[bytes], until: float, max_bytes: int) -> tuple[bytes, bytes]:
    """What `process` prints on either stream until it closes both."""
    pipes: list[IO[bytes]] = [pipe for pipe in (process.stdout, process.stderr) if pipe]
    said = {pipe.fileno(): bytearray() for pipe in pipes}
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, until - time.monotonic()))
            if not ready:
                raise TimeoutError("it takes too long")
            for key, _ in ready:
                part = os.read(key.fd, _PART)
                if not part:
                    selector.unregister(key.fileobj)
                said[key.fd] += part
                if len(said[key.fd]) > max_bytes:
                    raise Rejected("too-large", f"more than {max_bytes} bytes came of it")
    out, err = said.values()
    return bytes(out), bytes(err)


def words_of(done: subprocess.CompletedProcess[bytes]) -> str:
    """The last of what the program complained of in one line, or else its status."""
    said = done.stderr.decode("utf-8", "replace").strip().replace("\n", "; ")[-_WORDS:]
    return said or f"status {done.returncode}"
