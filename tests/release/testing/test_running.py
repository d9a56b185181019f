"""The product's own tests, really run, and the commit that they are said to be of."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from limpet.errors import Unavailable
from limpet.release.testing import Outcome, read_result, run_tests

GOOD = "def test_it_adds():\n    assert 1 + 1 == 2\n"
BAD = "def test_it_fails():\n    assert 1 + 1 == 3\n"
SEES_ITS_BYTE_CODE = """\
from pathlib import Path
def test_there_is_some():
    assert list(Path(__file__).parent.glob("__pycache__/beside.*.pyc"))
"""
WRITES = "from pathlib import Path\ndef test_it_writes():\n    Path('made').write_text('x')\n"
HANGS = """\
import subprocess, time
from pathlib import Path
def test_it_hangs():
    child = subprocess.Popen(["sleep", "200"])
    Path({place!r}).write_text(str(child.pid))
    time.sleep(200)
"""


@pytest.fixture(autouse=True)
def few_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest starts in half a second without those of this environment."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def found(work: Path, source: str) -> Path:
    product = work / "product"
    (product / "tests").mkdir(parents=True)
    (product / "product.toml").write_text("")
    (product / "tests" / "test_x.py").write_text(source)
    git(product, "init", "--quiet")
    git(product, "add", "--all")
    git(product, "commit", "--quiet", "--message", "Begin")
    return product


def git(product: Path, *words: str) -> str:
    who = {
        f"GIT_{role}_{part}": value
        for role in ("AUTHOR", "COMMITTER")
        for part, value in (("NAME", "A"), ("EMAIL", "a@example.com"))
    }
    command = ["git", "-C", str(product), *words]
    environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": "/dev/null"}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_run_says_on_which_commit_it_was_and_leaves_nothing_behind(tmp_path: Path) -> None:
    product = found(tmp_path, GOOD)
    ran = run_tests(product, tmp_path / "junit.xml", seconds=60)
    assert (ran.commit, ran.is_clean, ran.status) == (git(product, "rev-parse", "HEAD"), True, 0)
    result = read_result((tmp_path / "junit.xml").read_bytes())
    assert (result.commits, result.trees) == ({ran.commit}, {"clean"})
    assert [one.id for one in result.find("tests/test_x.py::test_it_adds")] == [
        "tests.test_x::test_it_adds"
    ]
    assert git(product, "status", "--porcelain", "--ignored") == ""


def test_byte_code_that_lay_there_stays_and_none_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    product = found(tmp_path, "import beside\n" + GOOD + SEES_ITS_BYTE_CODE)
    (product / "tests" / "beside.py").write_text("")
    kept = product / "app" / "__pycache__"
    kept.mkdir(parents=True)
    (kept / "other.pyc").write_bytes(b"x")
    git(product, "add", "--all", "--force")
    git(product, "commit", "--quiet", "--message", "Add what lies there")
    ran = run_tests(product, tmp_path / "junit.xml", seconds=60)
    assert (ran.is_clean, ran.status) == (True, 0)
    assert list(product.rglob("__pycache__")) == [kept]


def test_a_run_beside_changes_says_so(tmp_path: Path) -> None:
    product = found(tmp_path, GOOD)
    (product / "product.toml").write_text("changed = true\n")
    assert not run_tests(product, tmp_path / "junit.xml", seconds=60).is_clean


def test_a_test_that_changes_the_tree_is_seen(tmp_path: Path) -> None:
    ran = run_tests(found(tmp_path, WRITES), tmp_path / "junit.xml", seconds=60)
    assert (ran.is_clean, ran.result.trees) == (False, {"changed"})


def test_tests_that_hang_are_ended_with_all_that_they_began(tmp_path: Path) -> None:
    place = tmp_path / "child"
    product = found(tmp_path, HANGS.format(place=str(place)))
    for seconds in (4, 20, 100):  # a slow machine has not begun the test after the first
        if not place.exists():
            with pytest.raises(Unavailable, match="did not end within"):
                run_tests(product, tmp_path / "junit.xml", seconds=seconds)
    assert not (tmp_path / "junit.xml").exists()
    child = Path("/proc") / place.read_text()
    for _ in range(1200):
        if not child.exists() or "State:\tZ" in (child / "status").read_text():
            return
        time.sleep(0.05)
    pytest.fail("the child of a test still runs")


def test_a_product_without_tests_is_unavailable(tmp_path: Path) -> None:
    product = found(tmp_path, GOOD)
    (product / "tests" / "test_x.py").unlink()
    (product / "tests").rmdir()
    with pytest.raises(Unavailable, match="there is no directory"):
        run_tests(product, tmp_path / "junit.xml", seconds=60)


def test_the_command_fails_where_a_test_fails_and_writes_it_all_the_same(tmp_path: Path) -> None:
    product, out = found(tmp_path, GOOD + BAD), tmp_path / "junit.xml"
    command = [sys.executable, "-m", "limpet", "product", "test", str(product), "--json"]
    done = subprocess.run(
        [*command, "--out", str(out)], capture_output=True, timeout=150, check=False
    )
    told = json.loads(done.stdout)
    assert (done.returncode, told["passed"], told["failed"]) == (1, 1, 1)
    assert told["failures"] == ["tests.test_x::test_it_fails"]
    outcomes = [one.outcome for one in read_result(out.read_bytes()).cases]
    assert outcomes == [Outcome.PASSED, Outcome.FAILED]
