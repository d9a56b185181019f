"""The `run` script with real environments: first use, interruption, two at once, hostile packages.

Each test works on a copy of the script in a directory with a space in its name, and
installs from a wheel that it makes itself: no network.
"""

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 150


def make_wheel(directory: Path, *, greeting: str) -> str:
    """Write `shell-1.0` as a wheel into `directory`; return its SHA-256."""
    content = {
        "shell.py": f"GREETING = {greeting!r}\n",
        "shell-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: shell\nVersion: 1.0\n",
        "shell-1.0.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    record = "".join(
        f"{name},sha256={digest(text)},{len(text.encode())}\n" for name, text in content.items()
    )
    path = directory / "shell-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in content.items():
            wheel.writestr(name, text)
        wheel.writestr("shell-1.0.dist-info/RECORD", record + "shell-1.0.dist-info/RECORD,,\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


class Tree:
    """A copy of what `run` needs, with a limpet that prints its arguments."""

    first: tuple[int, str, str]  # what its first run gave

    def __init__(self, directory: Path) -> None:
        self.root = directory / "a tree"
        self.wheels = directory / "wheels"
        (self.root / "locks").mkdir(parents=True)
        (self.root / "src" / "limpet").mkdir(parents=True)
        self.wheels.mkdir()
        shutil.copy(ROOT / "run", self.root / "run")
        shutil.copy(ROOT / "locks" / "install.py", self.root / "locks" / "install.py")
        (self.root / "src" / "limpet" / "__init__.py").write_text("")
        (self.root / "src" / "limpet" / "__main__.py").write_text(
            "import shell, sys\nprint(shell.GREETING, sys.argv[1:])\n"
        )
        self.lock(make_wheel(self.wheels, greeting="hello"))

    def lock(self, sha256: str) -> None:
        """Pin the wheel to `sha256` in both lock files."""
        for name in ("limpet", "dev"):
            text = f"shell==1.0 \\\n    --hash=sha256:{sha256}\n"
            (self.root / "locks" / f"{name}.txt").write_text(text)

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        """Start `run` with `words` from another directory."""
        quiet = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON"))}
        offline = {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_CONFIG_FILE": os.devnull,
            "PYTHON": getattr(sys, "_base_executable", sys.executable),
        }
        return subprocess.Popen(
            [str(self.root / "run"), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            start_new_session=True,  # so that a test can end it with all that it started
            env={**quiet, **offline, **variables},
        )

    def run(self, *words: str, **variables: str) -> tuple[int, str, str]:
        """Run `run` to its end: exit status, standard output, standard error."""
        process = self.start(*words, **variables)
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A tree whose environment has been made; each test leaves it in order."""
    tree = Tree(tmp_path_factory.mktemp("run"))
    tree.first = tree.run("greet", "a b")
    return tree


def test_the_first_command_makes_the_environment_and_says_so(tree: Tree) -> None:
    status, out, err = tree.first
    assert (status, out) == (0, "hello ['greet', 'a b']\n")
    assert [line.split()[:2] for line in err.splitlines()] == [
        ["run:", "making"],
        ["run:", "installing"],
        ["run:", "ready"],
    ]


def test_the_next_command_makes_nothing(tree: Tree) -> None:
    assert tree.run("greet") == (0, "hello ['greet']\n", "")


def test_the_launcher_in_the_environment_does_the_same(tree: Tree) -> None:
    launcher = tree.root / ".venv" / "bin" / "limpet"
    result = subprocess.run([launcher, "x"], capture_output=True, text=True, timeout=PATIENCE)
    assert result.stdout == "hello ['x']\n"


def test_a_changed_lock_is_installed_again(tree: Tree) -> None:
    lock = tree.root / "locks" / "limpet.txt"
    lock.write_text(f"# changed\n{lock.read_text()}")
    status, out, err = tree.run("greet")
    assert (status, out) == (0, "hello ['greet']\n")
    assert "installing 1 locked packages" in err
    assert "making" not in err


def test_two_first_runs_at_once_do_not_break_each_other(tree: Tree) -> None:
    shutil.rmtree(tree.root / ".venv")
    both = [tree.start("greet"), tree.start("greet")]
    ends = [(*process.communicate(timeout=PATIENCE), process.returncode) for process in both]
    assert [(out, status) for out, _, status in ends] == [("hello ['greet']\n", 0)] * 2
    assert sum("making" in err for _, err, _ in ends) == 1


def test_an_installation_that_is_killed_half_way_is_thrown_away_and_made_anew(tree: Tree) -> None:
    shutil.rmtree(tree.root / ".venv")
    (wheel,) = tree.wheels.iterdir()
    wheel.rename(aside := tree.wheels.with_name(wheel.name))
    os.mkfifo(wheel)  # whoever reads it waits: the installation has no end before it is killed
    process = tree.start("greet")
    interpreter = tree.root / ".venv" / "bin" / "python"
    deadline = time.monotonic() + PATIENCE
    while not interpreter.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    aside.rename(wheel)
    assert not (tree.root / ".venv" / "limpet-limpet.txt").exists()
    status, out, err = tree.run("greet")
    assert (status, out) == (0, "hello ['greet']\n")
    assert "making .venv" in err


def test_an_environment_marked_as_unfinished_is_not_used(tree: Tree) -> None:
    (tree.root / ".venv" / "limpet-unfinished").touch()
    next((tree.root / ".venv").glob("lib/*/site-packages/shell.py")).unlink()
    status, out, _ = tree.run("greet")
    assert (status, out) == (0, "hello ['greet']\n")


def test_a_tree_that_moved_is_made_anew(tree: Tree) -> None:
    tree.root = tree.root.rename(tree.root.with_name("another tree"))
    status, out, err = tree.run("greet")
    assert (status, out) == (0, "hello ['greet']\n")
    assert "making .venv" in err


def test_a_package_with_another_hash_than_the_lock_s_is_refused(tree: Tree) -> None:
    lock = tree.root / "locks" / "limpet.txt"
    good = lock.read_text()
    make_wheel(tree.wheels, greeting="I am not the shell that you pinned")
    lock.write_text(f"# fetched again\n{good}")
    shutil.rmtree(tree.root / ".venv")
    try:
        status, out, err = tree.run("greet")
        assert (status, out) == (3, "")
        assert "DO NOT MATCH THE HASHES" in err
        assert "run: error: the locked packages could not be installed" in err
        assert "Traceback" not in err
        assert tree.run("greet")[0] == 3, "a refused package must not be there the next time"
    finally:
        make_wheel(tree.wheels, greeting="hello")


def test_a_python_that_is_too_old_is_one_clear_line(tree: Tree, tmp_path: Path) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14", "mine"):
        (tmp_path / name).write_text("#!/bin/sh\necho 3.9\n")
        (tmp_path / name).chmod(0o755)
    (tree.root / "locks" / "limpet.txt").write_text("# changed once more\n")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    status, out, err = tree.run("greet", PATH=path, PYTHON="mine")
    assert (status, out) == (3, "")
    assert err.startswith("run: error: Python 3.11 or later is needed, and none was found: mine is")
    assert "hint: install python3" in err


def test_a_python_without_ensurepip_is_one_clear_line_that_names_the_package(
    tree: Tree, tmp_path: Path
) -> None:
    # A Python as Debian installs it without python3-venv.
    real = getattr(sys, "_base_executable", sys.executable)
    hide = (
        "import sys, runpy; sys.modules['ensurepip'] = None; del sys.argv[0];"
        " runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    bare = tmp_path / "python3"
    bare.write_text(
        f'#!/bin/sh\ncase "$*" in\n*install.py*) shift; exec "{real}" -I -c "{hide}" "$@" ;;\n'
        f'*) exec "{real}" "$@" ;;\nesac\n'
    )
    bare.chmod(0o755)
    shutil.rmtree(tree.root / ".venv")
    status, out, err = tree.run("greet", PYTHON=str(bare))
    assert (status, out) == (3, "")
    assert err == (
        "run: error: this Python has no ensurepip, so no virtual environment can be made\n"
        "  hint: as root: apt-get install python3-venv\n"
    )


def test_help_needs_no_environment(tmp_path: Path) -> None:
    fresh = Tree(tmp_path)
    status, out, _ = fresh.run("--help")
    assert status == 0
    assert "./run demo" in out
    assert not (fresh.root / ".venv").exists()
