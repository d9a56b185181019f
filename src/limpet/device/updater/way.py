"""Which way the groups of an image come: by a delta from what runs, or whole.

Owns the choice, the count of a delta's failures and cuts (`delta.json`) and the change to the whole
image in the midst of an installation: groups that are written stay. A try is written down before
the decoder sees a byte, so that a delta which ends the process counts too. Never trusts a delta:
its reader yields signed bytes or `Rejected`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, structs

from limpet.device.updater.source import ANSWERED_BADLY, BUSY, Busy, FileRefused
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.firmware.delta import DeltaReader
from limpet.firmware.image import ReadRange, group_reader
from limpet.firmware.old_image import OldDevice, OldTree
from limpet.https.client import TOO_SLOW, UNREACHABLE
from limpet.storage import read_bounded, remove_durably, write_atomic
from limpet.wire.codec import Message, decode_json, encode_json
from limpet.wire.release import Delta, Image

__all__ = [
    "MAX_CUTS",
    "MAX_FAILURES",
    "DeltaRecord",
    "DeltaWay",
    "choose_delta",
    "describe_bytes",
    "describe_way",
    "load_record",
    "way_of",
]

MAX_FAILURES = 2
"""Failures of one delta at one group, after which the whole image is fetched: one may be a bad bit
on the way or a power cut, two are the delta's or the old image's."""

MAX_CUTS = 9
"""Cuts of one delta, over all checks, after which the whole image is fetched: a line that breaks is
no reason for a download many times as large, but whoever cuts this one file holds the update."""

FRUITLESS_CUT, FRUITFUL_CUT = 3, 1
"""What a check that gave the delta up counts: without and with a group that came by it. So three
checks end a delta that is silent, and nine one that brings a group at each."""

_CUTS = frozenset({UNREACHABLE, TOO_SLOW, ANSWERED_BADLY, BUSY})
"""Reasons that the server or somebody on the way can cause: not the own disk, the day's bytes, the
end of the process, or a proxy that lets nothing through."""

_RECORD_BYTES = 4 << 10


class DeltaRecord(Message, frozen=True, kw_only=True):
    """How often the delta `path` failed at `group`, the try under way included; its `cuts`."""

    path: str = ""
    group: Annotated[int, Meta(ge=0)] = 0
    failures: Annotated[int, Meta(ge=0)] = 0
    cuts: Annotated[int, Meta(ge=0)] = 0

    def bars(self, delta: Delta) -> bool:
        """Whether `delta` has had its tries."""
        spent = self.failures >= MAX_FAILURES or self.cuts >= MAX_CUTS
        return self.path == delta.path and spent


def choose_delta(
    deltas: Sequence[Delta],
    *,
    tree_sha256: str,
    record: DeltaRecord,
    refused: Callable[[str], bool],
) -> Delta | None:
    """The smallest delta from exactly the tree `tree_sha256`, if it may still be tried.

    No second one after it: two would take turns in the record, and neither ever end.
    """
    fitting = [
        delta
        for delta in deltas
        if delta.base_tree_sha256 == tree_sha256 and not refused(delta.path)
    ]
    smallest = min(fitting, key=lambda delta: delta.size, default=None)
    return None if smallest is None or record.bars(smallest) else smallest


def describe_way(image: Image, delta: Delta | None) -> str:
    """As "delta from 1.0.0, 2.1 MB instead of 37.0 MB"."""
    if delta is None:
        return f"whole image, {describe_bytes(image.packed)}"
    size, whole = describe_bytes(delta.size), describe_bytes(image.packed)
    return f"delta from {delta.base_version}, {size} instead of {whole}"


def way_of(path: str) -> Literal["delta", "whole"]:
    """Which of the two ways a file of the repository is of."""
    return "delta" if path.startswith("deltas/") else "whole"


def load_record(file: Path) -> DeltaRecord:
    """What was written down; a damaged record is none: at worst a delta is tried twice more."""
    try:
        data = read_bounded(file, max_bytes=_RECORD_BYTES)
        return decode_json(data, DeltaRecord, max_bytes=_RECORD_BYTES)
    except LimpetError:
        return DeltaRecord()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """Where bytes come from: the delta's file, the whole image's, the slot that runs."""

    delta: ReadRange
    leave_delta: Callable[[], None]  # nothing of its file is read any more
    image: ReadRange
    open_old: Callable[[], OldTree | OldDevice]  # what runs


class DeltaWay:
    """The groups of `image` by `delta` while it serves, and whole from then on; close it.

    The states of a try at a group: written down, then good (the next group), failed (it stays
    written down, and another follows), or cut short by others (written off again; what a server
    or the way to it cut is counted apart).
    """

    def __init__(
        self,
        image: Image,
        delta: Delta,
        reads: Reads,
        *,
        file: Path,
        tell: Callable[[str, str], None],
    ) -> None:
        self._image, self._delta, self._reads, self._file = image, delta, reads, file
        self._tell = tell
        self._whole = group_reader(image, reads.image)
        self._old: OldTree | OldDevice | None = None
        self._reader: DeltaReader | None = None
        found = load_record(file)
        self._record = found if found.path == delta.path else DeltaRecord(path=delta.path)
        self._serves, self._brought = True, False
        self.refused: FileRefused | None = None  # the server's final answer to the delta

    def read(self, index: int) -> bytes:
        """Group `index`, verified (a `ReadGroup`)."""
        while self._serves:
            try:
                reader = self._reader or self._begin(index)
                group = reader.read(index)
                self._brought = True
                return group
            except FileRefused as error:
                self.refused = error
                self._write_off(index)
                self._leave(error.message)
            except Unavailable as error:  # the line, the disk, the day's bytes: no failure
                self._write_off(index)
                self._count_cut(error)
                if isinstance(error, Busy) or not self._record.bars(self._delta):
                    raise
                self._leave(f"{error.message}, once too often")
            except Rejected as error:
                self._fail(index, error)
        return self._whole(index)

    def finish(self) -> None:
        """The image is whole."""
        if self._serves:
            remove_durably(self._file)
        self.close()

    def close(self) -> None:
        """Close what is open."""
        old, self._old, self._reader = self._old, None, None
        if old is not None:
            old.close()

    def _begin(self, index: int) -> DeltaReader:
        """A reader, once the try is written down."""
        before = self._failures_at(index)
        self._keep(index, before + 1)
        self._old = self._reads.open_old()
        self._reader = DeltaReader(self._delta, self._image, self._reads.delta, self._old)
        return self._reader

    def _fail(self, index: int, error: Rejected) -> None:
        failures = max(self._failures_at(index), 1)
        self._keep(index, failures)
        self.close()
        self._tell("delta-failed", f"group {index}, {failures} of {MAX_FAILURES}: {error.message}")
        if failures >= MAX_FAILURES:
            self._leave(f"it failed {failures} times")

    def _leave(self, why: str) -> None:
        self.close()
        self._serves = False
        self._reads.leave_delta()
        self._tell("delta-left", f"{why}; the rest of the image is fetched whole")

    def _write_off(self, index: int) -> None:
        """The try under way does not count."""
        self._keep(index, max(self._failures_at(index) - 1, 0))
        self.close()

    def _count_cut(self, error: Unavailable) -> None:
        if error.reason in _CUTS:
            weight = FRUITFUL_CUT if self._brought else FRUITLESS_CUT
            self._store(structs.replace(self._record, cuts=self._record.cuts + weight))

    def _failures_at(self, index: int) -> int:
        """What is written down, unless groups came since."""
        return self._record.failures if self._record.group >= index else 0

    def _keep(self, index: int, failures: int) -> None:
        self._store(structs.replace(self._record, group=index, failures=failures))

    def _store(self, record: DeltaRecord) -> None:
        if record != self._record:
            write_atomic(self._file, encode_json(record))
            self._record = record


def describe_bytes(count: int) -> str:
    """As "2.1 MB", or exactly where that would be little."""
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count} bytes"
