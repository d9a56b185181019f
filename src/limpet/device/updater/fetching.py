"""One image into a slot: its transfers, by a delta or whole, and what they brought.

Owns the joining of the two files, of which the second is asked for only when the first one fails.
Decides nothing: `limpet.device.updater.way` does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from limpet.device.updater.source import Source
from limpet.device.updater.transfer import Account, Line, Transfer
from limpet.device.updater.way import DeltaWay, Reads
from limpet.firmware.devices import SlotDevices
from limpet.firmware.image import ReadGroup
from limpet.firmware.old_image import OldDevice, OldTree
from limpet.firmware.slots import SlotName, other_slot
from limpet.firmware.writing import write_image
from limpet.wire.release import Delta, Image

__all__ = ["Fetching"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching:
    """What an installation needs beside the image."""

    source: Source
    account: Account
    line: Line
    metadata: str  # what is in force of the vendor's word, for a final answer
    slot: SlotName  # the one that does not run
    staging: Path
    devices: SlotDevices | None
    journal: Path
    running: Path  # the tree that runs, where slots are directories
    record: Path  # how often a delta failed

    def install(self, image: Image, delta: Delta | None, on_progress: Progress) -> int:
        """Stage the tree of `image`; how many bytes came for it this time.

        Raises as `install_image` and `Transfer.read`.
        """
        with self._transfer(image.path, image.packed) as whole:
            if delta is None:
                self._write(image, whole, None, on_progress)
                return whole.fetched
            return self._install_by(delta, image, whole, on_progress)

    def _install_by(
        self, delta: Delta, image: Image, whole: Transfer, on_progress: Progress
    ) -> int:
        with self._transfer(delta.path, delta.size) as part:
            reads = Reads(
                delta=part.read,
                leave_delta=part.close,
                image=whole.read,
                open_old=lambda: self._open_old(delta),
            )
            way = DeltaWay(image, delta, reads, file=self.record, tell=self.line.tell)
            try:
                self._write(image, whole, way.read, on_progress)
                way.finish()
            finally:
                way.close()
                if way.refused is not None:
                    self.account.refuse(delta.path, way.refused.status, metadata=self.metadata)
            return part.fetched + whole.fetched

    def _write(
        self, image: Image, whole: Transfer, read_group: ReadGroup | None, on_progress: Progress
    ) -> None:
        write_image(
            image,
            whole.read,
            self.slot,
            staging=self.staging,
            devices=self.devices,
            journal=self.journal,
            read_group=read_group,
            on_progress=on_progress,
        )

    def _open_old(self, delta: Delta) -> OldTree | OldDevice:
        if self.devices is None:
            return OldTree(self.running)
        return OldDevice(self.devices.device_of(other_slot(self.slot)), delta.base_size)

    def _transfer(self, path: str, size: int) -> Transfer:
        return Transfer(self.source, path, size, account=self.account, line=self.line)
