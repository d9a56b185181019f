"""A command that is forked does what one of a new interpreter does, and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.commands import limpet

EXAMPLE = Path(__file__).parents[1] / "examples" / "thermostat"


@pytest.mark.parametrize(
    "words",
    [
        ("product", "check", EXAMPLE),
        ("product", "check", "nowhere"),
        ("vendor", "init"),
        ("no-such-command",),
        ("--version",),
    ],
    ids=lambda words: " ".join(map(str, words[:2])),
)
def test_it_says_and_ends_as_a_new_interpreter_does(
    words: tuple[object, ...], tmp_path: Path
) -> None:
    line = [sys.executable, "-m", "limpet", *map(str, words)]
    wanted = subprocess.run(
        line, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
    )
    done = limpet(*words, directory=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (
        wanted.returncode,
        wanted.stdout,
        wanted.stderr,
    )


def test_it_has_the_directory_and_the_environment_that_it_is_given(tmp_path: Path) -> None:
    words = ("vendor", "init", "here", "--product", EXAMPLE, "--passphrase-env", "WORDS")
    env = {"PATH": os.environ["PATH"]}
    assert "WORDS" in limpet(*words, directory=tmp_path, env=env).stderr
    assert not (tmp_path / "here").exists()
    known = env | {"WORDS": "six words that a die has chosen"}
    assert limpet(*words, directory=tmp_path, env=known).returncode == 0
    assert (tmp_path / "here" / "offline").is_dir()
    assert "WORDS" in limpet(*words, directory=tmp_path, env=env).stderr, "the last one's is gone"


def test_one_that_does_not_end_is_killed_and_the_next_one_is_run(tmp_path: Path) -> None:
    assert limpet("vendor", "init", tmp_path / "v", "--product", EXAMPLE).returncode == 0
    with pytest.raises(subprocess.TimeoutExpired):
        limpet("vendor", "serve", tmp_path / "v", "--listen", "127.0.0.1:0", seconds=3)
    assert limpet("--version").returncode == 0
