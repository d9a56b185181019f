"""Programs of other projects in JavaScript, installed for the run: nothing of them is committed."""

import subprocess
import time
from pathlib import Path

from tests.needs import need

__all__ = ["fetch", "install", "run"]

PATIENCE = 240.0  # seconds; a registry may be far
TRIES, PAUSE_SECONDS = 4, 5.0  # or out of reach for a moment


def install(directory: Path, *, untried: str) -> None:
    """What `directory`'s package-lock.json names: each package by content, or nothing is there."""
    need("node", "npm", package="nodejs npm", untried=untried)
    fetch("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", at=directory)


def fetch(*command: str, at: Path) -> None:
    """`run` a command that asks a registry; again, if that did not answer."""
    for left in reversed(range(TRIES)):
        try:
            run(*command, at=at)
            return
        except (AssertionError, subprocess.TimeoutExpired):
            if not left:
                raise
            time.sleep(PAUSE_SECONDS * (TRIES - left))


def run(*command: str, at: Path) -> str:
    """What it printed; it has to end well."""
    done = subprocess.run(command, cwd=at, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
