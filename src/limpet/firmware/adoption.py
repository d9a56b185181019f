"""Taking a tree that a less trusted process wrote into a slot.

Owns the order: out of that process's reach first, judged afterwards, in place last. Never follows
a link on the way, and never touches the slot before the new tree is equal to its signed digest.
"""

import os
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.firmware.placing import InstalledTree, is_tree, put_in_place
from limpet.firmware.syncing import sync_together
from limpet.firmware.tree import MAX_DEPTH, MAX_ENTRIES, Kind, walk_tree
from limpet.storage import advice_for, reason_for, remove_tree, sync_directory

__all__ = ["adopt_tree"]

_COPY_BYTES = 1 << 20


def adopt_tree(staging: Path, slot: Path, *, tree_sha256: str) -> InstalledTree:
    """Take `staging/<slot's name>`, which a less trusted process wrote, into `slot`.

    It is moved out of that process's reach before it is judged, and no link is followed on
    the way. If that process runs as another user, its directories are taken over, and it is
    copied: whoever wrote a file or a directory may still hold it open. On any error the slot is
    what it was. Raises `Rejected("tampered-tree")`, `Unavailable` (nothing is staged, another file
    system).
    """
    incoming = slot.with_name(f"{slot.name}.new")
    try:
        remove_tree(incoming)
        remove_tree(incoming.with_name(f"{incoming.name}.copy"))
        directory = os.open(staging, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.rename(slot.name, incoming, src_dir_fd=directory)
            os.fsync(directory)
        finally:
            os.close(directory)
        sync_directory(slot.parent)
        if not incoming.is_symlink() and incoming.stat().st_uid != os.geteuid():
            incoming = _copied(incoming)
        if incoming.is_symlink() or not is_tree(incoming, tree_sha256):
            remove_tree(incoming)
            raise Rejected("tampered-tree", "the tree that was handed over is not the signed one")
        incoming.chmod(0o755)
        put_in_place(incoming, slot)
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise Unavailable(
            f"cannot take the new firmware into slot {slot.name}: {why}",
            hint=advice_for(error),
            reason=reason_for(error),
        ) from error
    return InstalledTree(slot, tree_sha256)


def _copied(tree: Path) -> Path:
    """The files of `tree` anew, durable, in a directory beside it that nobody else may enter.

    What it becomes of a tree that is changed meanwhile is any tree: the caller judges the copy.
    Raises `Rejected("tampered-tree")` for what firmware cannot hold; then nothing is left.
    """
    copy = tree.with_name(f"{tree.name}.copy")
    remove_tree(copy)
    copy.mkdir(mode=0o700)
    files, directories = [], [copy]
    try:
        _take_over(tree)
        for entry in walk_tree(tree):
            target = copy / entry.name
            if entry.kind is Kind.DIRECTORY:
                target.mkdir()
                target.chmod(0o755)
                directories.append(target)
                continue
            source = os.open(tree / entry.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(source, "rb") as given, target.open("xb") as written:
                _copy_bytes(given, written, entry.size)
                os.fchmod(written.fileno(), 0o755 if entry.kind is Kind.EXECUTABLE else 0o644)
            files.append(target)
        sync_together(files)
        sync_together(directories)
    except (LimpetError, OSError):
        remove_tree(copy)
        raise
    finally:
        remove_tree(tree)
    return copy


def _take_over(path: Path | str, *, below: int | None = None, depth: int = 0) -> None:
    """Make each directory of a tree ours, from the top down: whoever holds one open puts no link in
    the place of what was looked at. Raises `Rejected("tampered-tree")` for one that is deeper or
    larger than firmware may be, `OSError`."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=below)
    try:
        if os.geteuid() == 0:
            os.fchown(directory, 0, 0)
            os.fchmod(directory, 0o700)
        with os.scandir(directory) as found:
            entries = list(islice(found, MAX_ENTRIES + 1))
        if depth > MAX_DEPTH or len(entries) > MAX_ENTRIES:
            raise Rejected("tampered-tree", "what was handed over is more than firmware may be")
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _take_over(entry.name, below=directory, depth=depth + 1)
    finally:
        os.close(directory)


def _copy_bytes(given: BinaryIO, written: BinaryIO, size: int) -> None:
    """At most `size` bytes: a file that grows meanwhile is not followed."""
    while size > 0 and (block := given.read(min(_COPY_BYTES, size))):
        size -= len(block)
        written.write(block)
