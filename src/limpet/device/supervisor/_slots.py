"""What the updater may have changed in boot's record, and erasing the owner's data.

Owns the supervisor's side of trials: each answer is given after the record is
durable. Never starts or stops anything; the outcome says whether to restart.
"""

import contextlib
import os
from pathlib import Path
from threading import Lock

from limpet.device.enclosure.users import Users
from limpet.device.link import messages as m
from limpet.device.link.start import Start
from limpet.device.supervisor._kept import KEPT_NAMES, Kept, NotKept, let_go, settle_state
from limpet.device.supervisor._reserve import Reserve
from limpet.device.supervisor._writing import slot_writer
from limpet.errors import Rejected, Unavailable
from limpet.firmware.slots import (
    BOOT_FILE,
    SlotRecord,
    load_boot_state,
    record_activation,
    record_confirmation,
    record_rejection,
    save_boot_state,
)
from limpet.storage import empty_directory, remove_durably, write_atomic

__all__ = ["SlotKeeper", "begin_erasing", "finish_erasing"]

ERASED = ("app", "gateway", *KEPT_NAMES)
"""Directories of roles that hold nothing but the owner's data and operational keys."""

ERASED_SETTINGS = "settings"
"""Below `updater/`: the owner's choices. The rest (security floors) outlives a reset."""

_MARK = "erase.pending"


class SlotKeeper:
    """Boot's record as the running slot sees it."""

    def __init__(self, start: Start) -> None:
        self._root = start.root
        self._path = start.root / "slots" / BOOT_FILE
        self._writer = slot_writer(start)
        self._running = start.slot
        self._no_way_back = ""
        self._one_activation = Lock()  # a role may ask twice at once, and each is a thread's work

    def read(self) -> m.BootRecord:
        """The record for the updater."""
        state = load_boot_state(self._path)
        record = state.record_of(self._running)
        failure = state.failure
        return m.BootRecord(
            running=self._running,
            on_trial=self.is_on_trial(),
            version=record.version if record else "0.0.0",
            tree_sha256=record.tree_sha256 if record else "",
            security_counter=state.security_counter,
            fell_back_from=failure.version if failure else "",
            fell_back_manifest=failure.manifest_sha256 if failure else "",
            fell_back_reason=failure.reason if failure else "",
            no_way_back=self._no_way_back,
        )

    def is_on_trial(self) -> bool:
        """Whether the running slot must still prove itself."""
        trial = load_boot_state(self._path).trial
        return trial is not None and trial.slot == self._running

    def activate(self, request: m.Activate) -> None:
        """Take what the updater has fetched into the other slot; the next start tries it.

        Durable on return. Raises `Rejected`, `Unavailable`; then nothing is on trial.
        """
        record = SlotRecord(
            version=request.version,
            manifest_sha256=request.manifest_sha256,
            tree_sha256=request.tree_sha256,
            security_counter=request.security_counter,
            verity=request.verity,
        )
        with self._one_activation:
            state = record_activation(load_boot_state(self._path), request.slot, record)
            self._writer.take(request.slot, record)
            save_boot_state(self._path, state)

    def prepare(self, users: Users | None) -> None:
        """Let the updater write where it must. Raises `Unavailable`."""
        self._writer.prepare(self._running, users)

    def tell_writer(self) -> str:
        """Tell who else must know how the last trial ended; what went wrong, or "". It is told
        again at the next start."""
        try:
            self._writer.settle(load_boot_state(self._path))
        except (Rejected, Unavailable) as error:
            return error.message
        return ""

    def settle_state(self) -> Kept:
        """Keep the app's state before a trial, or bring it back after one that failed.

        To be called before any role runs. Where room is lacking, that for updates is taken: none is
        fetched now. A trial goes on without a copy, or an app that was taken could see to it that
        nothing ever replaces it. Raises `Unavailable`: a trial has then failed, durably.
        """
        record, on_trial = load_boot_state(self._path).record_of(self._running), self.is_on_trial()
        if record is None:
            return Kept.NOTHING
        for is_last in (False, True):
            try:
                return settle_state(self._root, record.manifest_sha256, on_trial=on_trial)
            except Unavailable as error:
                if not is_last:
                    Reserve(self._root).give_back()
                elif isinstance(error, NotKept):
                    self._no_way_back = error.message
                else:
                    if on_trial:
                        self.reject(f"state-not-kept: {error.message}")
                    raise
        return Kept.NOT_KEPT

    @property
    def no_way_back(self) -> str:
        """Why there is no copy of the app's state, in a trial that goes on without one; or ""."""
        return self._no_way_back

    def confirm(self) -> None:
        """The running slot is good; durable. Raises `Rejected("no-trial")`.

        Only then the app's state of before is let go; the next start does what fails here.
        """
        save_boot_state(self._path, record_confirmation(load_boot_state(self._path)))
        self.tell_writer()
        with contextlib.suppress(Unavailable):
            let_go(self._root)

    def reject(self, reason: str) -> None:
        """The running slot is not; durable. Raises `Rejected("no-trial")`."""
        if self._no_way_back:
            reason = f"{reason}; the app's state is what the trial left: {self._no_way_back}"
        save_boot_state(self._path, record_rejection(load_boot_state(self._path), reason))


def begin_erasing(root: Path) -> None:
    """Make it durable that the owner's data must go, whatever is cut from here on."""
    write_atomic(root / _MARK, b"")


def finish_erasing(root: Path) -> bool:
    """Erase what `begin_erasing` asked for; whether there was anything to do.

    Called while no role runs; done again from the start after a cut.
    """
    if not (root / _MARK).exists():
        return False
    try:
        for directory in (*(root / name for name in ERASED), root / "updater" / ERASED_SETTINGS):
            _empty(directory)
    except OSError as error:
        raise Unavailable(f"cannot erase the owner's data: {error.strerror}") from error
    remove_durably(root / _MARK)
    return True


def _empty(directory: Path) -> None:
    """Erase what is in `directory`, which a role may have written; no link of it is followed."""
    try:
        top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except NotADirectoryError:  # a link or a file in its place
        remove_durably(directory)
        return
    try:
        empty_directory(top)
        os.fsync(top)
    finally:
        os.close(top)
