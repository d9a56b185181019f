"""A directory on a disk that forgets, at a power cut, everything that was not fsynced.

Owns the model: the content of a file is durable from its fsync on, its name from the fsync
of its directory on. A cut comes before a chosen step; then the directory holds either what
was durable, or all that was done, and the truth on a real disk lies between.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Disk", "PowerCut"]


class PowerCut(BaseException):
    """Nothing of the program runs after it."""


class Disk:
    """Watches `directory` (flat) from now on; what is there already is durable."""

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch) -> None:
        self._directory = directory
        self._contents = {path.stat().st_ino: path.read_bytes() for path in directory.iterdir()}
        self._names = {path.name: path.stat().st_ino for path in directory.iterdir()}
        self.steps = 0
        self._cut_at: int | None = None
        fsync, replace = os.fsync, Path.replace
        patch.setattr(os, "fsync", self._stepping(fsync, after=self._synced))
        patch.setattr(Path, "replace", self._stepping(replace))

    def cut_before(self, step: int) -> None:
        """Let the power fail before the `step`-th fsync or rename from here on, from 0."""
        self.steps, self._cut_at = 0, step

    def power_on(self, *, lost: bool) -> None:
        """The next life; `lost`: what was not fsynced is gone."""
        self._cut_at = None
        if not lost:
            return
        for path in self._directory.iterdir():
            path.unlink()
        for name, inode in self._names.items():
            (self._directory / name).write_bytes(self._contents.get(inode, b""))
        self._names = {path.name: path.stat().st_ino for path in self._directory.iterdir()}
        self._contents = {
            path.stat().st_ino: path.read_bytes() for path in self._directory.iterdir()
        }

    def _stepping(
        self, real: Callable[..., Any], *, after: Callable[..., None] = lambda *_: None
    ) -> Callable[..., Any]:
        def step(*words: Any) -> Any:
            if self._cut_at is not None and self.steps >= self._cut_at:
                raise PowerCut
            self.steps += 1
            done = real(*words)
            after(*words)
            return done

        return step

    def _synced(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path == self._directory:
            self._names = {one.name: one.stat().st_ino for one in path.iterdir()}
        elif path.parent == self._directory:
            self._contents[os.fstat(descriptor).st_ino] = path.read_bytes()
