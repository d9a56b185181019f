"""How new firmware gets from the updater into the slot that does not run: one way for each kind of
slot, behind one small interface.

Owns the taking over: out of the updater's reach first, judged afterwards. A directory is moved, a
block device is taken back and read, a bundle is copied aside and given to RAUC. Never touches the
slot that runs.
"""

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from limpet.device.enclosure.users import Users
from limpet.device.link.start import Start
from limpet.errors import Rejected, Unavailable
from limpet.firmware.adoption import adopt_tree
from limpet.firmware.devices import SlotDevices, load_devices
from limpet.firmware.rauc import Rauc
from limpet.firmware.slots import BootState, SlotName, SlotRecord, other_slot
from limpet.firmware.verity import verify_blocks
from limpet.storage import read_bounded, remove_durably, write_atomic

__all__ = ["SlotWriter", "slot_writer"]

MAX_BUNDLE_BYTES = 4 << 30
_COPY_BYTES = 1 << 20
_TOLD, _TOLD_BYTES = "rauc.told", 1024


class SlotWriter(Protocol):
    """One kind of slot."""

    def prepare(self, running: SlotName, users: Users | None) -> None:
        """Let the updater write where it must, before it starts. Raises `Unavailable`."""

    def take(self, slot: SlotName, record: SlotRecord) -> None:
        """Make `slot` hold what `record` says, durably. Raises `Rejected`, `Unavailable`."""

    def settle(self, state: BootState) -> None:
        """Tell who else must know how the last trial ended. Raises `Unavailable`; done again."""


def slot_writer(start: Start) -> SlotWriter:
    """The way of this device. Raises `Unavailable`, `Rejected` for a bad devices.json."""
    devices = load_devices(start.root)
    if devices is None:
        return _Directories(start)
    if devices.rauc is None:
        return _Blocks(devices)
    return _ByRauc(start, devices, Rauc(devices.rauc))


class _Directories:
    def __init__(self, start: Start) -> None:
        self._slots, self._staging = start.root / "slots", start.staging

    def prepare(self, running: SlotName, users: Users | None) -> None:
        del running, users

    def take(self, slot: SlotName, record: SlotRecord) -> None:
        adopt_tree(self._staging, self._slots / slot, tree_sha256=record.tree_sha256)

    def settle(self, state: BootState) -> None:
        del state


class _Blocks:
    def __init__(self, devices: SlotDevices) -> None:
        self._devices = devices

    def prepare(self, running: SlotName, users: Users | None) -> None:
        """The updater reads the running slot's device, which is root's, for deltas from it, and
        has the other one."""
        if users is None:
            return
        updater = users["updater"]
        _own(self._devices.device_of(running), 0, updater.gid, mode=0o640)
        _own(self._devices.device_of(other_slot(running)), updater.uid, updater.gid)

    def take(self, slot: SlotName, record: SlotRecord) -> None:
        device = self._devices.device_of(slot)
        if os.geteuid() == 0:
            # Whoever still has it open can write on; dm-verity then refuses what was written.
            _own(device, 0, 0)
        _verify(device, record)

    def settle(self, state: BootState) -> None:
        del state


class _ByRauc:
    def __init__(self, start: Start, devices: SlotDevices, rauc: Rauc) -> None:
        self._slots, self._staging = start.root / "slots", start.staging
        self._devices, self._rauc = devices, rauc

    def prepare(self, running: SlotName, users: Users | None) -> None:
        del running, users

    def take(self, slot: SlotName, record: SlotRecord) -> None:
        bundle = self._slots / f"{slot}.bundle"
        try:
            _copy_verified(self._staging / bundle.name, bundle, record.tree_sha256)
            self._rauc.install(bundle, slot)
            _verify(self._devices.device_of(slot), record)
        except OSError as error:
            why = (error.strerror or "failed").lower()
            raise Unavailable(f"cannot take the bundle for slot {slot}: {why}") from error
        finally:
            remove_durably(bundle)
        remove_durably(self._staging / bundle.name)

    def settle(self, state: BootState) -> None:
        """Once for each outcome; nothing while a trial runs."""
        if state.trial is not None:
            return
        failed = state.failure.manifest_sha256 if state.failure else ""
        outcome = f"{state.good} {failed}".encode()
        told = self._slots / _TOLD
        if told.exists() and read_bounded(told, max_bytes=_TOLD_BYTES) == outcome:
            return
        if failed:
            self._rauc.reject(other_slot(state.good), good=state.good)
        else:
            self._rauc.confirm(state.good)
        write_atomic(told, outcome)


def _verify(device: Path, record: SlotRecord) -> None:
    if record.verity is None:
        raise Rejected("malformed", "firmware for a slot of blocks has a root hash")
    verify_blocks(device, record.verity)


def _own(device: Path, uid: int, gid: int, *, mode: int = 0o600) -> None:
    try:
        os.chown(device, uid, gid)
        os.chmod(device, mode)
    except OSError as error:
        raise Unavailable(f"cannot give {device} its owner: {error.strerror}") from error


def _copy_verified(given: Path, copy: Path, sha256: str) -> None:
    """The file that a less trusted process wrote, as a file of our own, equal to its hash."""
    descriptor = os.open(given, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as source:
        status = os.fstat(source.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BUNDLE_BYTES:
            raise Rejected("too-large", "what was handed over is no bundle that anyone takes")
        found = hashlib.sha256()
        copy.unlink(missing_ok=True)
        with copy.open("xb") as target:
            _pump(lambda: source.read(_COPY_BYTES), lambda block: target.write(block), found.update)
            target.flush()
            os.fsync(target.fileno())
    if found.hexdigest() != sha256:
        raise Rejected("tampered-image", "the bundle that was handed over is not the signed one")


def _pump(
    read: Callable[[], bytes], write: Callable[[bytes], int], see: Callable[[bytes], None]
) -> None:
    left = MAX_BUNDLE_BYTES
    while left > 0 and (block := read()):
        left -= len(block)
        see(block)
        write(block)
