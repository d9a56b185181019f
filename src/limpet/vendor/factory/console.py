"""The new device's console: its process in factory mode, one JSON line at a time.

Owns the device's process while it is being made, with a deadline over the whole
conversation and a bound on every line. Starts the device by its program, because
the vendor's code imports none of the device's.
"""

import contextlib
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from limpet.errors import Rejected, Unavailable
from limpet.wire.codec import decode_json
from limpet.wire.factory import LINE_BYTES, DeviceReply, Failure, FromStation

__all__ = ["CONVERSATION_SECONDS", "Console", "open_console"]

CONVERSATION_SECONDS = 90.0
"""How long a device may take to be made; starting its processes is most of it."""

EXIT_SECONDS = 10.0
_CLOCK_ADVICE = "set this computer's clock: what it signs is not valid yet, or no more"
_READ_BYTES = 4096
_STDERR_CHARACTERS = 600

R = TypeVar("R", bound=DeviceReply)
_REPLY: Any = DeviceReply  # a union, where decode_json is declared for one type


class Console:
    """A conversation with one device."""

    def __init__(self, process: subprocess.Popen[bytes], *, deadline: float) -> None:
        self._process = process
        self._deadline = deadline
        self._buffer = b""

    def say(self, message: FromStation) -> None:
        """Send one line. Raises `Unavailable` if the device is gone."""
        try:
            if self._process.stdin is not None:
                self._process.stdin.write(msgspec.json.encode(message) + b"\n")
                self._process.stdin.flush()
        except OSError as error:
            raise Unavailable("the device went away") from error

    def expect(self, kind: type[R]) -> R:
        """The device's next line, of `kind`. Raises `Rejected`, `Unavailable`."""
        reply: DeviceReply = decode_json(self._read_line(), _REPLY, max_bytes=LINE_BYTES)
        if isinstance(reply, Failure):
            raise Rejected(
                reply.reason,
                f"the device could not go on: {reply.message}",
                hint=_CLOCK_ADVICE if "not valid at" in reply.message else "",
            )
        if not isinstance(reply, kind):
            raise Rejected("malformed", f"the device sent {type(reply).__name__}")
        return reply

    def finish(self) -> None:
        """Wait until the device has ended in order. Raises `Unavailable`."""
        try:
            status = self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            raise Unavailable("the device does not end its factory mode") from None
        if status != 0:
            raise Unavailable(f"the device ended with status {status}")

    def _read_line(self) -> bytes:
        stream = self._process.stdout
        if stream is None:
            raise Unavailable("the device has no console")
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                left = self._deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise Unavailable(f"the device was not made in {CONVERSATION_SECONDS:g} s")
                data = os.read(stream.fileno(), _READ_BYTES)
                if not data:
                    raise Unavailable("the device ended before it was made")
                self._buffer += data
                if len(self._buffer) > LINE_BYTES:
                    raise Rejected("too-large", f"the device sent a line over {LINE_BYTES} bytes")
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


@contextlib.contextmanager
def open_console(device: Path, *, errors: Path) -> Iterator[Console]:
    """Start the device in `device` in factory mode; its process is gone at the end.

    What it says on stderr goes to the file `errors`, and is quoted if it fails.
    """
    command = [sys.executable, "-I", "-m", "limpet.device.boot", str(device)]
    with errors.open("w+b") as said:
        process = subprocess.Popen(
            [*command, "--factory", "--end-with-parent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
        )
        try:
            yield Console(process, deadline=time.monotonic() + CONVERSATION_SECONDS)
        except Unavailable as error:
            _end(process)
            said.seek(0)
            quoted = said.read().decode("utf-8", "replace").strip()[-_STDERR_CHARACTERS:]
            if not quoted:
                raise
            raise Unavailable(f"{error.message}; it said: {quoted}", hint=error.hint) from error
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop it in order, and kill it if that takes too long."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
