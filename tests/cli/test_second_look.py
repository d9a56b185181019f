"""CI's second look, by a real pytest in a tree of its own: at few failures, once, not silently."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STEADY = "def test_steady(): pass\n"
UNSTEADY = """
import pathlib
def test_unsteady():
    seen = pathlib.Path("seen")
    was_here = seen.exists()
    seen.touch()
    assert was_here
"""
BROKEN = "def test_broken(): assert False\n"
FOUR = "import pytest\n@pytest.mark.parametrize('n', range(4))\ndef test_four(n): assert n < 0\n"


def run_ci(tree: Path, **files: str) -> subprocess.CompletedProcess[str]:
    """`.ci/run` over tests of these contents, with a `run` that knows just what it needs of it."""
    (tree / ".ci").mkdir()
    (tree / ".venv" / "bin").mkdir(parents=True)
    for name in ("run", "again.py"):
        shutil.copy(ROOT / ".ci" / name, tree / ".ci" / name)
    (tree / ".venv" / "bin" / "python").symlink_to(sys.executable)
    script = f'#!/bin/sh\n[ "$1" = check ] && exit\nshift\nexec {sys.executable} -m pytest "$@"\n'
    (tree / "run").write_text(script)
    (tree / "run").chmod(0o755)
    (tree / "pytest.ini").write_text("[pytest]\n")
    for name, content in files.items():
        (tree / f"test_{name}.py").write_text(content)
    plain = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    command = [tree / ".ci" / "run"]
    return subprocess.run(command, cwd=tree, env=plain, capture_output=True, text=True, timeout=240)


def test_what_passes_alone_is_named_and_does_not_refuse_a_change(tmp_path: Path) -> None:
    done = run_ci(tmp_path, steady=STEADY, unsteady=UNSTEADY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.splitlines()[-1].startswith("again: UNSTEADY")
    assert "test_unsteady.py::test_unsteady" in done.stderr
    assert "1 failed, 1 passed" in done.stdout
    assert "1 passed" in done.stdout.splitlines()[-1]  # that one alone


@pytest.mark.parametrize(
    ("files", "looks"),
    [
        ({"steady": STEADY, "broken": BROKEN}, 2),
        ({"broken": BROKEN, "unsteady": UNSTEADY}, 2),
        ({"four": FOUR}, 1),  # too many for chance
        ({"unsteady": UNSTEADY, "wrong": "import nothing_of_that_name\n"}, 1),  # not run at all
    ],
)
def test_what_fails_again_or_in_numbers_refuses_it(
    tmp_path: Path, files: dict[str, str], looks: int
) -> None:
    done = run_ci(tmp_path, **files)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "UNSTEADY" not in done.stderr
    assert len(re.findall(r"^=+ .* in \d.*s.* =+$", done.stdout, re.M)) == looks, done.stdout


def test_what_passes_at_once_is_not_looked_at_again(tmp_path: Path) -> None:
    done = run_ci(tmp_path, steady=STEADY)
    assert done.returncode == 0
    assert "again" not in done.stderr
