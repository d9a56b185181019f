"""The device's button: proof that a hand is at the device, from whatever the board has.

Owns the pipe `run/button` in the device's directory, and both its ends. Only who may write
it can press: the user that the device runs as, and root; no role may, each being confined to
files of its own. On a board, a line or two feed it from the pin of the real button
(`gpiomon … > run/button`). What is written means nothing; that something is, is a press.
"""

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

from limpet.errors import Unavailable

__all__ = ["Button", "press_button"]

DEBOUNCE_SECONDS = 1.0
"""What comes sooner after a press is the same press: contacts bounce, and pipes fill."""

_READ_BYTES = 4096


class Button:
    """Calls `pressed` when the button is; needs a running event loop."""

    def __init__(self, root: Path, pressed: Callable[[], None]) -> None:
        self._path, self._pressed = _path(root), pressed
        self._pipe: int | None = None
        self._last: float | None = None

    def watch(self) -> None:
        """Make the pipe anew and begin. Raises `Unavailable`."""
        try:
            self._path.unlink(missing_ok=True)
            os.mkfifo(self._path, 0o600)
            # For writing too: else the end of the first writer would be the end of the pipe.
            self._pipe = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise Unavailable(f"cannot make {self._path}: {error.strerror}") from error
        asyncio.get_running_loop().add_reader(self._pipe, self._readable)

    def close(self) -> None:
        """End it; a press then finds nobody."""
        if self._pipe is not None:
            asyncio.get_running_loop().remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe = None
        self._path.unlink(missing_ok=True)

    def _readable(self) -> None:
        if self._pipe is None:
            return
        with contextlib.suppress(BlockingIOError):
            os.read(self._pipe, _READ_BYTES)
        now = asyncio.get_running_loop().time()
        if self._last is None or now - self._last >= DEBOUNCE_SECONDS:
            self._last = now
            self._pressed()


def press_button(root: Path) -> None:
    """Press the button of the running device below `root`. Raises `Unavailable`."""
    path = _path(root)
    try:
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            os.write(pipe, b"\n")
        finally:
            os.close(pipe)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENXIO):
            hint = "start it with `limpet device run`"
            raise Unavailable(f"the device {root} is not running", hint=hint) from error
        reason = (error.strerror or "failed").lower()
        raise Unavailable(
            f"cannot press the button of {root}: {reason}",
            hint="press it as the user that the device runs as",
        ) from error


def _path(root: Path) -> Path:
    return root / "run" / "button"
