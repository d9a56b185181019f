"""The app's directory as it was before a trial, and the way back to it.

Owns `before/` (a whole copy, made before the app of a slot on trial runs for the first time) and
the return to it when another slot than that one runs. Works while no role does. Parses nothing
that the app wrote: what it leaves behind is moved by name, and judged by the app's own SDK.

    before.part/            a copy that is being made; worth nothing
    before/app, manifest    the whole copy, and for which release's trial it was made
    app.trial/              what the trial made of the directory, on the way back
    app/left-behind/        of that, the files that may hold a setting of the owner, made meanwhile
    app/bulk/               never in a copy: the same before, in and after a trial

Every step is one rename; after a cut at any point the next start goes on from what it finds.
"""

import contextlib
import enum
import errno
import os
import re
import stat
from collections.abc import Set
from itertools import islice
from pathlib import Path

from limpet.errors import LimpetError, Unavailable
from limpet.storage import read_bounded, remove_tree, sync_directory, write_atomic

__all__ = ["BULK", "KEPT_NAMES", "LEFT_BEHIND", "Kept", "NotKept", "let_go", "settle_state"]

KEPT_NAMES = ("before", "app.trial")
"""Below the device's directory; the owner's data, as the app's own directory is."""

LEFT_BEHIND, BULK = "left-behind", "bulk"
MOST_LEFT, LEFT_BYTES = 64, 256 << 10  # files that are worth keeping, each of them
MAX_ENTRIES, MAX_DEPTH = 20_000, 32
SPARE_BYTES = 4 << 20  # free space that a copy leaves for everybody else
_COPY_BYTES = 1 << 20
_NAMES_AT_ONCE = 1024
_MANIFEST = "manifest"
_STATE_FILE = re.compile(r"[a-z][a-z0-9-]{0,31}\.[0-9]{1,6}\.json")


class NotKept(Unavailable):
    """There can be no copy: no room, or something that an app may have made so."""


class Kept(enum.Enum):
    """What was done at a start."""

    NOTHING = "nothing"
    KEPT = "state-kept"
    NOT_KEPT = "state-not-kept"
    LET_GO = "state-let-go"
    BROUGHT_BACK = "state-brought-back"


def settle_state(root: Path, manifest_sha256: str, *, on_trial: bool) -> Kept:
    """Keep a copy before a trial, or settle one that an ended trial left.

    `manifest_sha256` is the running slot's. Raises `NotKept` before a trial: the app's directory is
    then what it was, and there is no copy, not even an older one. Raises `Unavailable`: the next
    call goes on.
    """
    try:
        remove_tree(root / "before.part")
        kept_for = _kept_for(root)
        if on_trial:
            if kept_for == manifest_sha256:
                return Kept.NOTHING  # the second try: what the owner set in the first stays
            let_go(root)
            _keep(root, manifest_sha256)
            return Kept.KEPT
        if kept_for == manifest_sha256:
            let_go(root)
            return Kept.LET_GO
        if not kept_for and not (root / "app.trial").is_dir():
            let_go(root)  # an emptied or damaged one: it never counted
            return Kept.NOTHING
        _bring_back(root)
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise Unavailable(f"cannot bring back the app's state: {why}") from error
    return Kept.BROUGHT_BACK


def let_go(root: Path) -> None:
    """Forget the copy: the trial's firmware was confirmed, durably. Raises `Unavailable`."""
    try:
        if (root / "before").is_dir():
            (root / "before" / _MANIFEST).unlink(missing_ok=True)  # first: half a copy is none
            sync_directory(root / "before")
        remove_tree(root / "before")
        sync_directory(root)
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise Unavailable(f"cannot remove the copy of the app's state: {why}") from error


def _kept_for(root: Path) -> str:
    """The release before whose trial the whole copy was made, or ""."""
    try:
        return read_bounded(root / "before" / _MANIFEST, max_bytes=64).decode("ascii")
    except (LimpetError, UnicodeDecodeError):
        return ""


def _keep(root: Path, manifest_sha256: str) -> None:
    """Raises `NotKept`, whatever fails: an app can see to it that a file cannot be read."""
    part = root / "before.part"
    try:
        part.mkdir(mode=0o700)
        remove_tree(root / "app" / LEFT_BEHIND)  # of an earlier trial, and taken over long since
        if (root / "app").is_dir():
            _verify_room(root)
            _copy(root / "app", part / "app", without=BULK)
        else:
            (part / "app").mkdir(mode=0o700)
        write_atomic(part / _MANIFEST, manifest_sha256.encode())
        sync_directory(part)
        part.rename(root / "before")
        sync_directory(root)
    except (OSError, LimpetError) as error:
        with contextlib.suppress(OSError):
            remove_tree(part)
        if isinstance(error, NotKept):
            raise
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise NotKept(
            f"the app's directory cannot be copied: {(why or 'failed').lower()}"
        ) from error


def _bring_back(root: Path) -> None:
    app, trial, before = root / "app", root / "app.trial", root / "before"
    if (before / "app").is_dir():
        if app.is_dir() and not trial.is_dir():
            app.rename(trial)
            sync_directory(root)
        # What made another directory meanwhile (an older supervisor) had nothing in it to lose.
        remove_tree(app)
        (before / "app").rename(app)
        sync_directory(root)
        sync_directory(before)
    if trial.is_dir():
        states = _states(trial)
        _leave_only(trial, states | {BULK})
        _take_along(trial, app, states)
        _take_bulk(trial, app)
        remove_tree(trial)
    let_go(root)


def _states(trial: Path) -> frozenset[str]:
    """The small files of `trial` that may be states, so many as are worth keeping."""

    def is_state(entry: os.DirEntry[str]) -> bool:
        status = entry.stat(follow_symlinks=False)
        fits = stat.S_ISREG(status.st_mode) and status.st_size <= LEFT_BYTES
        return fits and _STATE_FILE.fullmatch(entry.name) is not None

    with os.scandir(trial) as entries:
        return frozenset(islice((one.name for one in entries if is_state(one)), MOST_LEFT))


def _leave_only(directory: Path, names: Set[str]) -> None:
    """Remove all else first: the trial may have filled the disk, and what is taken along needs room
    for a directory."""
    while True:
        with os.scandir(directory) as entries:
            others = (entry.name for entry in entries if entry.name not in names)
            some = list(islice(others, _NAMES_AT_ONCE))
        if not some:
            return
        for name in some:
            remove_tree(directory / name)


def _take_along(trial: Path, app: Path, names: Set[str]) -> None:
    """The files `names` of `trial`, into a directory of their own in `app`."""
    app.mkdir(mode=0o700, exist_ok=True)  # erased meanwhile, by the owner
    place = app / LEFT_BEHIND
    place.mkdir(mode=0o700, exist_ok=True)
    sync_directory(app)  # both names first: else a setting is moved to where a cut leaves nothing
    sync_directory(app.parent)
    for name in sorted(names):
        (trial / name).rename(place / name)
    sync_directory(place)
    sync_directory(app)


def _take_bulk(trial: Path, app: Path) -> None:
    """Whatever has the name, a link too, moves with it; nothing in it is looked at."""
    if os.path.lexists(trial / BULK):
        remove_tree(app / BULK)  # an app that ran before all was back began another one
        (trial / BULK).rename(app / BULK)
        sync_directory(app)  # before the name is gone from the trial's directory for good
        sync_directory(trial)


def _verify_room(root: Path) -> None:
    """Raises `NotKept`, `OSError`. Ends with the first name too many: there may be millions."""
    needed, count = SPARE_BYTES, 0
    pending = [(root / "app", 1)]
    while pending:
        directory, depth = pending.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                if depth == 1 and entry.name == BULK:
                    continue
                count += 1
                if count > MAX_ENTRIES or depth > MAX_DEPTH:
                    raise NotKept(
                        f"the app's directory has more than {MAX_ENTRIES} names,"
                        f" or lies more than {MAX_DEPTH} deep"
                    )
                needed += entry.stat(follow_symlinks=False).st_size + 4096
                if entry.is_dir(follow_symlinks=False):
                    pending.append((Path(entry.path), depth + 1))
    free = os.statvfs(root)
    if free.f_bavail * free.f_frsize < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _copy(source: Path, target: Path, *, without: str = "") -> None:
    """The directory `source` as `target`, durable, but for the name `without`. No link is followed;
    what is neither file, link nor directory is left out."""
    target.mkdir(mode=0o700)
    with os.scandir(source) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.name == without:
            continue
        if entry.is_symlink():
            (target / entry.name).symlink_to(os.readlink(entry.path))
        elif entry.is_dir(follow_symlinks=False):
            _copy(Path(entry.path), target / entry.name)
        elif entry.is_file(follow_symlinks=False):
            _copy_file(Path(entry.path), target / entry.name)
    sync_directory(target)


def _copy_file(source: Path, target: Path) -> None:
    opened = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(opened, "rb") as given, target.open("xb") as written:
        os.fchmod(written.fileno(), stat.S_IMODE(os.fstat(given.fileno()).st_mode) & 0o700)
        while block := given.read(_COPY_BYTES):
            written.write(block)
        written.flush()
        os.fsync(written.fileno())
