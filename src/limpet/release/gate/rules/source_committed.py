"""source-committed: the release is what one commit holds, and every commit says whose it is."""

from collections.abc import Iterator
from pathlib import Path

from limpet.errors import Unavailable
from limpet.product import PRODUCT_FILE
from limpet.release._bytecode import is_byte_code
from limpet.release.gate._rule import Fault, Finding, Rule, judged
from limpet.release.gate._subject import Subject
from limpet.source import (
    Commit,
    committed_blobs,
    find_hidden,
    find_stale_submodules,
    head_commit,
    is_shallow,
    list_changes,
    name_blob,
)
from limpet.storage import read_bounded

__all__ = ["RULE", "judge"]

MAX_FILE = 256 << 20
_APP = "app"


def judge(subject: Subject) -> Finding:
    """HEAD, the tree, the image and the history since the release before."""
    head = head_commit(subject.product)
    if is_shallow(subject.product):
        raise Unavailable("the history was cut", hint="fetch all of it: git fetch --unshallow")
    commits = subject.commits
    faults = (
        *_commit_faults(subject.manifest.source_commit, head),
        *_tree_faults(subject.product),
        *_image_faults(subject.tree, committed_blobs(subject.product, head)),
        *_identity_faults(commits),
    )
    people = len({one.committer[1] for one in commits})
    return judged(
        faults,
        f"commit {head[:12]}; since the last release: {len(commits)} commits, {people} committers",
    )


def _commit_faults(stated: str, head: str) -> Iterator[Fault]:
    hint = "build it again from HEAD, without a change"
    if not stated:
        yield Fault("the release does not say from which commit it was built", hint=hint)
    elif stated != head:
        yield Fault(f"it was built from {stated[:12]!a}, and HEAD is {head[:12]}", hint=hint)


def _tree_faults(product: Path) -> Iterator[Fault]:
    for change in list_changes(product):
        state = "is in no commit" if change.startswith("??") else "is not as it was committed"
        yield Fault(state, change[3:])
    for name in find_hidden(product):
        hint = f"git update-index --no-assume-unchanged --no-skip-worktree {name}"
        yield Fault("git was told not to look for changes of it", name, hint=hint)
    for name in find_stale_submodules(product):
        hint = "git submodule update --init --recursive, or commit where it is"
        yield Fault("the submodule is not at the commit that is recorded", name, hint=hint)


def _image_faults(tree: Path, blobs: dict[str, str]) -> Iterator[Fault]:
    """What is in the image must be in the commit, byte by byte; an ignored file is not. Of byte
    code the rule byte-code-matches says whether it is that of these files."""
    shipped = [tree / PRODUCT_FILE, *(p for p in sorted((tree / _APP).rglob("*")) if p.is_file())]
    named = {path.relative_to(tree).as_posix(): path for path in shipped}
    names = {name: path for name, path in named.items() if not is_byte_code(name)}
    for name, path in names.items():
        if name not in blobs:
            yield Fault("is in the image and in no commit", name, hint="commit it, or move it away")
        elif name_blob(read_bounded(path, max_bytes=MAX_FILE), like=blobs[name]) != blobs[name]:
            yield Fault("the image has it otherwise than the commit", name, hint="build it again")
    for name in sorted(blobs.keys() - names.keys()):
        if name.startswith(f"{_APP}/") and not _is_left_out(name):
            yield Fault("is in the commit and not in the image", name, hint="build it again")


def _is_left_out(name: str) -> bool:
    """As `limpet.release._tree` leaves it out."""
    return is_byte_code(name) or any(part.startswith(".") for part in name.split("/"))


def _identity_faults(commits: tuple[Commit, ...]) -> Iterator[Fault]:
    for one in commits:
        if one.is_anonymous:
            yield Fault(
                f"commit {one.short} has no name or address of author and committer: {one.subject}",
                hint="set user.name and user.email, and commit it again",
            )


RULE = Rule(
    id="source-committed",
    title="The release is what one commit holds, and every commit says whose it is",
    reason="What is in no commit, nobody can look up, review or fix; nor tell who put it there.",
    statements=("R4a",),
    hint="commit what is there, and build again",
    judge=judge,
)
