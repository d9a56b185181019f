"""git, run as a program that only reads.

Owns how it is run: none of the repository's hooks, monitors or signature programs, no replaced
objects, no redirection by the environment, bounded in time and output. Must never write, not
even the index.
"""

import os
import subprocess
from pathlib import Path

from limpet.errors import Unavailable

__all__ = ["GIT_SECONDS", "MAX_GIT_OUTPUT", "run_git"]

GIT_SECONDS = 30.0
MAX_GIT_OUTPUT = 32 << 20  # bytes

_QUIET = ("--no-pager", "--no-optional-locks", "--no-replace-objects")
_SETTINGS = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.quotePath=false",
    "log.showSignature=false",
    # What the repository names would decide what is a good signature.
    "gpg.program=false",
    "gpg.openpgp.program=false",
    "gpg.x509.program=false",
    "gpg.ssh.program=ssh-keygen",
    "gpg.ssh.allowedSignersFile=/dev/null",
)


def run_git(
    directory: Path,
    *arguments: str,
    settings: tuple[str, ...] = (),
    given: bytes = b"",
    seconds: float = GIT_SECONDS,
) -> bytes:
    """What git prints in `directory`; `settings` are `name=value`, `given` its standard input.

    Raises `Unavailable` where git or the repository is missing, where the command fails, and for
    more than `seconds` or `MAX_GIT_OUTPUT`: an answer that was cut is no answer.
    """
    configured = [word for one in (*_SETTINGS, *settings) for word in ("-c", one)]
    command = ["git", *_QUIET, *configured, "-C", str(directory), *arguments]
    try:
        done = subprocess.run(
            command,
            input=given,
            env=_environment(),
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise Unavailable("git is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable("git did not answer in time") from error
    if done.returncode != 0:
        message = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise Unavailable(f"no history: {message[0][:120] if message else 'git failed'}")
    if len(done.stdout) > MAX_GIT_OUTPUT:
        raise Unavailable("no history: git said more than is read")
    return done.stdout


def _environment() -> dict[str, str]:
    """Ours, without what would make git look at another repository or history."""
    kept = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM")  # the machine's, not the repository's
    ours = {
        name: value
        for name, value in os.environ.items()
        if name in kept or not name.startswith("GIT_")
    }
    return {**ours, "GIT_GRAFT_FILE": "/dev/null", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
