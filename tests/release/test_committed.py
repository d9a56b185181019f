"""From which commit a release says that it was built, when nobody tells it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from limpet.cli._release_source import Source
from limpet.cli.main import run
from limpet.release import find_committed, load_built
from limpet.vendor.home import Home

_IDENTITY = ("-c", "user.name=A Developer", "-c", "user.email=developer@example.com")
_QUIET = ("-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null")


def git(directory: Path, *words: str) -> str:
    command = ["git", "-C", str(directory), *_IDENTITY, *_QUIET, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def committed(product: Path) -> Path:
    """The product, whole in one commit."""
    git(product, "init", "-q")
    git(product, "add", ".")
    git(product, "commit", "-qm", "All of it")
    return product


def test_a_clean_tree_is_the_commit_that_is_checked_out(committed: Path) -> None:
    found = find_committed(committed)
    assert found.commit == git(committed, "rev-parse", "HEAD")
    assert not found.why


def _change(product: Path) -> None:
    (product / "product.toml").write_text((product / "product.toml").read_text() + "\n")


def _add(product: Path) -> None:
    (product / "app" / "new.py").write_text("\n")


def _hide(product: Path) -> None:
    git(product, "update-index", "--assume-unchanged", "product.toml")
    _change(product)


def _forget(product: Path) -> None:
    git(product, "rm", "-q", "--cached", "product.toml")
    (product / ".gitignore").write_text("product.toml\n")
    git(product, "add", ".gitignore")
    git(product, "commit", "-qm", "Less of it")


def _empty(product: Path) -> None:
    git(product, "checkout", "-q", "--orphan", "other")
    git(product, "rm", "-rq", "--cached", ".")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_change, "product.toml is not as it was committed"),
        (_add, "app/new.py is not as it was committed"),
        (_hide, "git does not show whether product.toml was changed"),
        (_forget, "product.toml is in no commit"),
        (_empty, "no history: "),
    ],
)
def test_what_differs_from_the_commit_is_none_and_it_is_said_why(
    committed: Path, spoil: Callable[[Path], None], why: str
) -> None:
    spoil(committed)
    found = find_committed(committed)
    assert not found.commit
    assert found.why.startswith(why)


def test_a_directory_without_a_history_is_no_error(
    product: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_committed(product).why.startswith("no history: ")
    monkeypatch.setenv("PATH", "")
    assert find_committed(product).why == "git is not installed"


def test_what_is_given_wins_also_if_it_is_nothing(
    committed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _change(committed)
    assert Source(source_commit="0123").commit_of(committed) == "0123"
    assert Source(source_commit="").commit_of(committed) == ""
    assert not capsys.readouterr().err
    assert Source().commit_of(committed) == ""
    assert "product.toml is not as it was committed" in capsys.readouterr().err


def test_a_file_s_name_does_not_write_to_the_terminal(
    committed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (committed / "\x1b[2J").write_text("")
    assert Source().commit_of(committed) == ""
    said = capsys.readouterr().err
    assert "\\x1b[2J" in said
    assert "\x1b" not in said


def test_the_command_notes_head_and_warns_where_there_is_none(
    committed: Path, home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["release", "build", str(committed), "--trust", str(home.trust)]
    words += ["--version", "1.0.0", "--without-packages", "--out"]
    assert run([*words, str(tmp_path / "clean")]) == 0
    head = git(committed, "rev-parse", "HEAD")
    assert load_built(tmp_path / "clean").manifest.source_commit == head
    assert "the gate will not pass it" not in capsys.readouterr().err
    _add(committed)
    assert run([*words, str(tmp_path / "changed")]) == 0
    assert load_built(tmp_path / "changed").manifest.source_commit == ""
    assert "so the gate will not pass it: app/new.py is not" in capsys.readouterr().err
