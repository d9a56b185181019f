"""Who changed a product's source, and whether what lies there is what was committed.

Owns reading version control. Judges nothing: a commit without an identity is told as it is.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import Unavailable

from ._git import run_git

__all__ = [
    "Commit",
    "committed_blobs",
    "find_commit",
    "find_hidden",
    "find_stale_submodules",
    "head_commit",
    "is_shallow",
    "list_changes",
    "list_commits",
    "name_blob",
    "read_committed",
]

MAX_COMMITS = 20_000
MAX_SUBMODULES = 64
_FIELDS = (
    "%H",
    "%P",
    "%an",
    "%ae",
    "%cn",
    "%ce",
    "%(trailers:key=Issue,valueonly,unfold,separator=%x1f)",
    "%(trailers:key=Security-Fix,valueonly,unfold,separator=%x1f)",
    "%B",
)
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit, as its maker wrote it; nothing of it is proven but its id."""

    id: str
    parents: tuple[str, ...]
    author: tuple[str, str]  # name, address
    committer: tuple[str, str]
    message: str
    issues: tuple[str, ...] = ()  # of trailers `Issue:`
    security_fixes: tuple[str, ...] = ()  # of trailers `Security-Fix:`

    @property
    def is_anonymous(self) -> bool:
        """Whether a name or an address of author or committer is missing."""
        return not all(part.strip() for part in (*self.author, *self.committer))

    @property
    def subject(self) -> str:
        """The first line of its message, printable and at most 60 characters."""
        line = self.message.strip().split("\n")[0]
        return "".join(c if c.isprintable() else "?" for c in line)[:60]

    @property
    def short(self) -> str:
        """Twelve characters of the id, as people write it."""
        return self.id[:12]


def head_commit(directory: Path) -> str:
    """The id of the commit that is checked out. Raises `Unavailable` if there is none."""
    return run_git(directory, "rev-parse", "--verify", "HEAD^{commit}").decode().strip()


def find_commit(directory: Path, commit: str) -> str:
    """The whole id of a commit of this history. Raises `Unavailable` for any that is not."""
    if not _COMMIT.fullmatch(commit):
        raise Unavailable(f"{commit[:80]!a} is no commit's whole id")
    words = ("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
    try:
        return run_git(directory, *words).decode().strip()
    except Unavailable as error:
        raise Unavailable(
            f"the history here has no commit {commit[:12]}", hint="fetch all of it: git fetch"
        ) from error


def is_shallow(directory: Path) -> bool:
    """Whether the history was cut when it was fetched."""
    return run_git(directory, "rev-parse", "--is-shallow-repository").strip() != b"false"


def list_commits(
    directory: Path, *, since: str = "", only_here: bool = False
) -> tuple[Commit, ...]:
    """The commits of HEAD, newest first; not those that `since` (an id) already has.

    `only_here`: those that touch `directory`. Raises `Unavailable`, also for more than
    `MAX_COMMITS`.
    """
    span = ["HEAD", f"^{since}"] if since else ["HEAD"]
    words = ["log", "-z", f"--max-count={MAX_COMMITS + 1}", f"--format={'%x00'.join(_FIELDS)}"]
    words += ["--topo-order", *span, "--", *(["."] if only_here else [])]
    text = run_git(directory, *words).decode("utf-8", "replace")
    fields = text.removesuffix("\0").split("\0") if text else []
    if len(fields) % len(_FIELDS):
        raise Unavailable("no history: a commit's text cannot be told from the next one's")
    if len(fields) // len(_FIELDS) > MAX_COMMITS:
        raise Unavailable(f"more than {MAX_COMMITS} commits to look at")
    starts = range(0, len(fields), len(_FIELDS))
    return tuple(_commit(fields[start : start + len(_FIELDS)]) for start in starts)


def _commit(fields: list[str]) -> Commit:
    return Commit(
        id=fields[0],
        parents=tuple(fields[1].split()),
        author=(fields[2], fields[3]),
        committer=(fields[4], fields[5]),
        issues=_values(fields[6]),
        security_fixes=_values(fields[7]),
        message=fields[8],
    )


def _values(trailers: str) -> tuple[str, ...]:
    return tuple(value.strip() for value in trailers.split("\x1f") if value.strip())


def list_changes(directory: Path, *, only_here: bool = False) -> tuple[str, ...]:
    """What is in the tree and not in HEAD, or otherwise: `git status`, untracked files too."""
    words = ["status", "--porcelain", "-z", "--untracked-files=all", "--ignore-submodules=none"]
    words += ["--no-renames", "--", *(["."] if only_here else [])]
    found = run_git(directory, *words).decode("utf-8", "replace")
    return tuple(line for line in found.split("\0") if line)


def find_hidden(directory: Path) -> tuple[str, ...]:
    """Files below `directory` whose changes `git status` was told not to show (assume-unchanged,
    skip-worktree)."""
    found = run_git(directory, "ls-files", "-v", "-z").decode("utf-8", "replace")
    flags = (line.partition(" ") for line in found.split("\0") if line)
    return tuple(name for flag, _, name in flags if flag.islower() or flag == "S")


def find_stale_submodules(directory: Path) -> tuple[str, ...]:
    """Submodules that are not there, or not at the commit that HEAD names."""
    if not any(mode == "160000" for mode, _, _ in _entries(directory, "HEAD")):
        return ()
    found = run_git(directory, "submodule", "status", "--recursive").decode("utf-8", "replace")
    return tuple(line[1:].split(" ")[1] for line in found.splitlines() if line[:1] in "-+U")


def committed_blobs(directory: Path, commit: str, _depth: int = 0) -> dict[str, str]:
    """Id of the content by path, of every file below `directory` in `commit`; of submodules too.

    Raises `Unavailable`, also for a submodule that is not there.
    """
    if _depth > MAX_SUBMODULES:
        raise Unavailable("submodules are nested too deep")
    found: dict[str, str] = {}
    for mode, name, content in _entries(directory, commit):
        if mode != "160000":
            found[name] = content
            continue
        inner = committed_blobs(directory / name, content, _depth + 1)
        found.update((f"{name}/{path}", blob) for path, blob in inner.items())
    return found


def _entries(directory: Path, commit: str) -> Iterator[tuple[str, str, str]]:
    """Mode, path (relative to `directory`) and id."""
    listed = run_git(directory, "ls-tree", "-r", "-z", commit).decode("utf-8", "surrogateescape")
    for line in listed.split("\0"):
        if line:
            head, _, name = line.partition("\t")
            mode, _, content = head.split(" ")
            yield mode, name, content


def name_blob(data: bytes, *, like: str) -> str:
    """The id that git gives to `data`, by the algorithm that the id `like` is of."""
    begun = f"blob {len(data)}\0".encode()
    if len(like) == 64:
        return hashlib.sha256(begun + data).hexdigest()
    return hashlib.sha1(begun + data, usedforsecurity=False).hexdigest()


def read_committed(directory: Path, commit: str, name: str) -> bytes | None:
    """The file `name` below `directory` as `commit` has it; None if it has none."""
    if name not in committed_blobs(directory, commit):
        return None
    return run_git(directory, "cat-file", "blob", f"{commit}:./{name}")
