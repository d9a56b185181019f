"""Running a program of the build machine, and what it said.

Owns the call: no input, a bounded time, and one clear error for a program that is not there.
"""

import shutil
import subprocess
from collections.abc import Mapping, Sequence

from limpet.errors import Unavailable

__all__ = ["run_tool", "words_of"]

_WORDS = 300


def run_tool(
    command: Sequence[str],
    *,
    seconds: float,
    hint: str = "",
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run `command` to its end, whatever its status is, in `environment` or in our own.

    Raises `Unavailable` for a program that is missing (`hint` says where it is from), cannot be
    started or takes longer than `seconds`.
    """
    if shutil.which(command[0]) is None:
        raise Unavailable(f"cannot run {command[0]}", hint=hint)
    try:
        return subprocess.run(
            tuple(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"cannot run {command[0]}: {error}") from error


def words_of(done: subprocess.CompletedProcess[bytes]) -> str:
    """The last of what the program complained of in one line, or else its status."""
    said = done.stderr.decode("utf-8", "replace").strip().replace("\n", "; ")[-_WORDS:]
    return said or f"status {done.returncode}"
