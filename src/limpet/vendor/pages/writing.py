"""A site as files: page by page in place, or a whole directory that appears at once.

Owns the writing. A directory of pages is made aside and takes its name in one step, so that no
server ever shows half of a new one; one that holds anything else is never touched.
"""

import ctypes
import os
import secrets
import shutil
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.storage import advice_for, make_directory, sync_directory, write_atomic

from .site import Site

__all__ = ["MARKER", "replace_site", "write_site"]

PUBLIC_FILE, PUBLIC_DIRECTORY = 0o644, 0o755
MARKER = ".limpet-pages"
"""A file in every directory that `replace_site` made: only such a one is replaced."""

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # renameat2(2)


def write_site(site: Site, directory: Path) -> int:
    """Write the pages that changed below `directory`; how many."""
    written = 0
    for page in site.values():
        path = directory / page.file
        if path.exists() and path.read_bytes() == page.body:
            continue
        make_directory(path.parent, mode=PUBLIC_DIRECTORY)
        write_atomic(path, page.body, mode=PUBLIC_FILE)
        written += 1
    return written


def replace_site(site: Site, directory: Path) -> int:
    """Make `directory` hold this site and nothing else, in one step; how many pages.

    Raises `Rejected("not-pages")` for a directory that holds other files, `Unavailable`; what was
    there then still stands. Cut off before the step, it leaves a hidden directory beside, which
    the next run takes away.
    """
    directory = directory.absolute()
    _verify_ours(directory)
    make_directory(directory.parent, mode=PUBLIC_DIRECTORY)
    for old in directory.parent.glob(f".{directory.name}.*.part"):
        shutil.rmtree(old, ignore_errors=True)
    aside = directory.parent / f".{directory.name}.{secrets.token_hex(4)}.part"
    try:
        make_directory(aside, mode=PUBLIC_DIRECTORY)
        write_site(site, aside)
        write_atomic(aside / MARKER, b"", mode=PUBLIC_FILE)
        if directory.exists():
            _exchange(aside, directory)
        else:
            aside.rename(directory)
        sync_directory(directory.parent)
    except OSError as error:
        reason = (error.strerror or "failed").lower()
        raise Unavailable(f"cannot write {directory}: {reason}", hint=advice_for(error)) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return len(site)


def _verify_ours(directory: Path) -> None:
    if not directory.exists():
        return
    if directory.is_symlink() or not directory.is_dir():
        raise Rejected("not-pages", f"{directory} is no directory", hint="choose another --out")
    if any(directory.iterdir()) and not (directory / MARKER).exists():
        raise Rejected(
            "not-pages",
            f"{directory} holds files that are no pages of ours",
            hint="choose a new or an empty directory: it is replaced as a whole",
        )


def _exchange(one: Path, other: Path) -> None:
    """Both directories take each other's name, at once. Raises `OSError`, `Unavailable`."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        raise Unavailable("this system cannot exchange two directories", hint="choose a new --out")
    paths = (os.fsencode(one), os.fsencode(other))
    if rename(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))
