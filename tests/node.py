"""Programs of other projects in JavaScript, installed for the run: nothing of them is committed."""

import subprocess
from pathlib import Path

from tests.needs import need

__all__ = ["install", "run"]

PATIENCE = 240.0  # seconds; a registry may be far


def install(directory: Path, *, untried: str) -> None:
    """What `directory`'s package-lock.json names: each package by content, or nothing is there."""
    need("node", "npm", package="nodejs npm", untried=untried)
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", at=directory)


def run(*command: str, at: Path) -> str:
    """What it printed; it has to end well."""
    done = subprocess.run(command, cwd=at, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
