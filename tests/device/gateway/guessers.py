"""Password guessers of Debian, each told to try one list at a relay and stop when it finds one.

Owns their command lines and what they print when they find a password. Where a tool is not
installed, the attack was not made: `tests.needs` says what becomes of the test.
"""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.needs import find_program, need

__all__ = ["GUESSERS", "GUESSES", "POSITION", "Guesser", "hydra", "tool", "word_list"]

POSITION = 50  # of the right password in the list
GUESSES = 120
TOOL_SECONDS = 150

Guesser = Callable[[int, Path], bool]
"""`(port, word list)`: whether it found the password of `owner` at the relay on `port`."""


def tool(name: str) -> str:
    """The path of an installed program."""
    need(name, package=name, untried="this attack was NOT made")
    return str(find_program(name))


def word_list(directory: Path, password: str, *, guesses: int = GUESSES) -> Path:
    """A file of wrong guesses, with the right one at its place."""
    words = [f"another guess number {number}" for number in range(guesses)]
    words[POSITION - 1] = password
    listing = directory / "words"
    listing.write_text("\n".join(words) + "\n")
    return listing


def hydra(port: int, words: Path) -> bool:
    """hydra guesses by a form."""
    form = "/login:name=^USER^&password=^PASS^:S=expires_at"
    command = [tool("hydra"), "-I", "-l", "owner", "-P", str(words), "-t", "4", "-f"]
    said = _run([*command, "-s", str(port), "127.0.0.1", "http-post-form", form], words.parent)
    found = "1 valid password found" in said
    assert found or "0 valid password" in said, said
    return found


def ncrack(port: int, words: Path) -> bool:
    """ncrack guesses by Basic."""
    users = words.with_name("users")
    users.write_text("owner\n")
    command = [tool("ncrack"), "-f", "-T5", "-U", str(users), "-P", str(words)]
    said = _run([*command, f"http://127.0.0.1:{port}"], words.parent)
    assert "Ncrack done: 1 service scanned" in said, said
    return "Discovered credentials" in said


def medusa(port: int, words: Path) -> bool:
    """medusa guesses by Basic, too."""
    command = [tool("medusa"), "-h", "127.0.0.1", "-n", str(port), "-u", "owner", "-M", "http"]
    said = _run([*command, "-P", str(words), "-f", "-t", "4"], words.parent)
    assert "ACCOUNT CHECK" in said, said
    return "ACCOUNT FOUND" in said


GUESSERS: Sequence[Guesser] = (hydra, ncrack, medusa)


def _run(command: Sequence[str], directory: Path) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=TOOL_SECONDS, cwd=directory
    )
    return done.stdout + done.stderr
