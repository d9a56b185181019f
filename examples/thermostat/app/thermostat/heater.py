"""The heater's output: one line that is on or off.

Owns the file that the relay follows: a sysfs GPIO `value` file, or a plain file
of the same form. It is written in place, never replaced, so that limpet's guard
can switch it off when the app is killed, and it can be read back. A new output
starts off.
"""

import os
from pathlib import Path
from typing import Protocol

__all__ = ["OFF", "ON", "FileOutput", "HeaterFault", "HeaterOutput"]

ON = b"1\n"
OFF = b"0\n"


class HeaterFault(Exception):
    """The output cannot be set or read."""


class HeaterOutput(Protocol):
    """What switches the heater."""

    def set(self, on: bool) -> None:
        """Switch. Raises `HeaterFault`."""

    def is_on(self) -> bool:
        """What the line really says. Raises `HeaterFault`."""


class FileOutput:
    """The line in the file `path`, which is made if `path`'s directory is the app's own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HeaterFault(f"the heater's output {path.name}: {error.strerror}") from error
        self.set(False)

    def set(self, on: bool) -> None:
        """Write the line in place."""
        try:
            os.pwrite(self._descriptor, ON if on else OFF, 0)
        except OSError as error:
            raise HeaterFault(f"the heater's output: {error.strerror}") from error

    def is_on(self) -> bool:
        """Read the line back; what is neither on nor off is a fault."""
        try:
            line = os.pread(self._descriptor, 8, 0)
        except OSError as error:
            raise HeaterFault(f"the heater's output: {error.strerror}") from error
        if line not in (ON, OFF):
            raise HeaterFault("the heater's output says neither on nor off")
        return line == ON
