"""Running the product's own tests with pytest, in a process of their own, on one commit.

Owns which commit the result is of: looked at before and after, so that a test that changes the
tree, or somebody who commits meanwhile, does not go unseen.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import Unavailable
from limpet.source import find_hidden, head_commit, list_changes
from limpet.storage import read_bounded, write_atomic

from ._junit import CLEAN, RESULT_BYTES, Result, mark_result, read_result

__all__ = ["Ran", "run_tests"]

CHANGED = "changed"
_BYTE_CODE = "__pycache__"
_CONFIGURATIONS = ("pytest.toml", "pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")


@dataclass(frozen=True, slots=True)
class Ran:
    """A run that was written down."""

    result: Result
    commit: str
    is_clean: bool  # whether the tree was that commit, before and after
    status: int  # pytest's


def run_tests(product: Path, out: Path, *, seconds: float, more: Sequence[str] = ()) -> Ran:
    """Run the tests below `product/tests`, and write their result to `out` (JUnit).

    pytest's output goes to standard error; `more` are words for it. Raises `Unavailable` where
    pytest, tests or a history are missing, and for more than `seconds`; then `out` is as it was.
    """
    if importlib.util.find_spec("pytest") is None:
        raise Unavailable("pytest is not installed", hint="pip install pytest")
    if not (product / "tests").is_dir():
        raise Unavailable(f"there is no directory {product / 'tests'}", hint="it holds the tests")
    before = head_commit(product), _state(product)
    with tempfile.TemporaryDirectory(prefix="limpet-tests-") as work, _without_byte_code(product):
        written = Path(work) / "junit.xml"
        status = _pytest(product.resolve(), written, Path(work) / "cache", seconds, more)
        if not written.is_file():
            raise Unavailable("pytest wrote no result", hint="what it said is above")
        data = read_bounded(written, max_bytes=RESULT_BYTES)
    after = head_commit(product), _state(product)
    tree = CLEAN if before == after and after[1] == CLEAN else CHANGED
    marked = mark_result(data, commit=after[0], tree=tree)
    write_atomic(out, marked, mode=0o644)
    return Ran(read_result(marked), after[0], tree == CLEAN, status)


def _state(product: Path) -> str:
    return CHANGED if list_changes(product) or find_hidden(product) else CLEAN


@contextlib.contextmanager
def _without_byte_code(product: Path) -> Iterator[None]:
    """Afterwards no byte code lies below `product` that did not lie there before.

    Python may write some meanwhile: else pytest rewrites every plugin's code in each run.
    """
    before = set(_byte_code(product))
    try:
        yield
    finally:
        for directory in _byte_code(product):
            if directory not in before:
                shutil.rmtree(directory, ignore_errors=True)


def _byte_code(product: Path) -> list[Path]:
    walked = os.walk(product)  # does not go through links
    return [Path(base) / _BYTE_CODE for base, names, _ in walked if _BYTE_CODE in names]


def _output() -> int:
    """Where pytest speaks: to whoever reads our standard error, if that is a file."""
    try:
        return sys.stderr.fileno()
    except (OSError, ValueError):  # somebody keeps it in memory
        return subprocess.DEVNULL


def _pytest(product: Path, out: Path, cache: Path, seconds: float, more: Sequence[str]) -> int:
    command = [sys.executable, "-m", "pytest", "tests", f"--rootdir={product}"]
    command += [f"--junit-xml={out}", "-o", f"cache_dir={cache}", *more]
    if not any((product / name).is_file() for name in _CONFIGURATIONS):
        command += ["-c", "/dev/null"]  # not that of a directory above, which is not committed here
    process = subprocess.Popen(
        command, cwd=product, stdout=_output(), stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"the tests did not end within {seconds:g} s") from error
    finally:
        with contextlib.suppress(ProcessLookupError):  # nothing that the tests left may stay
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
