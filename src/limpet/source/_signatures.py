"""Signatures of commits, by the keys that a file of the repository names (ssh-keygen(1)).

Owns their verification. Who may sign is in the very history that is judged, so each commit is
held to what was there before it: by the file as each of its parents has it. A key that is named
newly signs from the next commit on; nobody names himself. And by the file as HEAD has it: a key
that was taken out (it was stolen) is worth nothing for any commit.

The time of a signature is the commit's own word, so an end date (valid-before) holds honest
people only: a key that was stolen is taken out.
"""

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import Unavailable

from ._git import run_git
from ._history import Commit

__all__ = ["Unsigned", "find_unsigned"]

MAX_VERSIONS = 32
SECONDS = 120.0
_NONE = "there is no signature"
_WORDS = {
    "N": _NONE,
    "U": "the key may not sign, or its time was over",
    "B": "the signature is bad",
    "E": "the signature cannot be checked: not an SSH signature",
    "X": "the signature has expired",
    "Y": "the key has expired",
    "R": "the key is revoked",
}


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A commit that nobody vouches for who may, and why."""

    commit: Commit
    why: str


def find_unsigned(
    directory: Path, commits: Sequence[Commit], signers: str, *, begins: bool
) -> tuple[Unsigned, ...]:
    """Those of `commits` without a good signature, in their order.

    `signers` is the file's path below `directory`; `begins`: there was no such policy before
    `commits`, so that a parent without the file is no gap. Raises `Unavailable`.
    """
    if shutil.which("ssh-keygen") is None:
        raise Unavailable("ssh-keygen is not installed", hint="it verifies the commits' signatures")
    named = _versions(directory, commits, signers)
    last = named["HEAD"]
    asked: dict[str, list[Commit]] = defaultdict(list)  # by content of the file
    faults: dict[str, str] = {}
    for one in commits:
        before = {named[parent] for parent in one.parents}
        if "" in before and not begins:
            faults[one.id] = f"{signers} was not there before it"
        for content in {*before, last} - {""}:
            asked[content].append(one)
    if not last:
        raise Unavailable(f"HEAD has no {signers}", hint="commit it")
    if len(asked) > MAX_VERSIONS:
        raise Unavailable(f"{signers} has more than {MAX_VERSIONS} versions since the last release")
    for content, some in asked.items():
        for commit, state in _states(directory, some, content).items():
            if state != "G":
                why = _WORDS.get(state, "the signature is not good")
                change = state == "U" and content != last and ", by the file before this commit"
                faults.setdefault(commit, f"{why}{change or ''}")
    return tuple(Unsigned(one, faults[one.id]) for one in commits if one.id in faults)


def _versions(directory: Path, commits: Sequence[Commit], signers: str) -> dict[str, str]:
    """Id of the file's content at HEAD and at every parent; "" where there is none."""
    places = ["HEAD", *sorted({parent for one in commits for parent in one.parents})]
    prefix = run_git(directory, "rev-parse", "--show-prefix").decode().strip()
    asked = "".join(f"{place}:{prefix}{signers}\n" for place in places).encode()
    told = run_git(directory, "cat-file", "--batch-check=%(objectname)", given=asked)
    answers = told.decode("utf-8", "replace").splitlines()
    if len(answers) != len(places):
        raise Unavailable(f"no history of {signers}")
    ids = ("" if answer.endswith("missing") else answer for answer in answers)
    return dict(zip(places, ids, strict=True))


def _states(directory: Path, commits: Sequence[Commit], content: str) -> dict[str, str]:
    """git's word (%G?) on each of `commits` by the keys of the blob `content`."""
    with tempfile.NamedTemporaryFile(prefix="limpet-signers-") as file:
        file.write(run_git(directory, "cat-file", "blob", content))
        file.flush()
        told = run_git(
            directory,
            *("log", "--no-walk", "--stdin", "--format=%H %G?"),
            settings=(f"gpg.ssh.allowedSignersFile={file.name}",),
            given="".join(f"{one.id}\n" for one in commits).encode(),
            seconds=SECONDS,
        )
    states = dict(line.split(" ") for line in told.decode().splitlines())
    if states.keys() != {one.id for one in commits}:
        raise Unavailable("git did not say of every commit whether it is signed")
    return states
