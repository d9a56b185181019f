"""Tests that measure: each runs while no other test of the run does.

Owns the lock that says so: every test holds it shared, one that is marked `alone` holds it for
itself. A bound on what an owner feels under a flood is a bound on the device then, and not on
which test happens to run beside it. Between workers of one run only; what else the machine does is
not in our hand.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["is_alone", "place"]


def is_alone(item: pytest.Item) -> bool:
    """Whether the test, or its file, is marked so."""
    return item.get_closest_marker("alone") is not None


@contextmanager
def place(directory: Path, *, alone: bool) -> Iterator[None]:
    """Wait for this test's place among all that share `directory`, which is locked, and keep it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)
