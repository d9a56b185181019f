"""Which slot to start: the record, the try that is spent, the tree that is verified.

Owns the order: the record is durable before the slot runs (R of the trial), and no
slot runs whose tree differs from its record. Starts nothing.
"""

from dataclasses import dataclass
from pathlib import Path

from limpet.device.boot._blocks import close_slot, open_slot
from limpet.device.link.journal import Journal
from limpet.errors import LimpetError, Rejected
from limpet.firmware.devices import SlotDevices, load_devices
from limpet.firmware.slots import (
    BOOT_FILE,
    BootState,
    StartChoice,
    decide_start,
    load_boot_state,
    record_damage,
    save_boot_state,
)
from limpet.firmware.tree import digest_tree

__all__ = ["VerifiedSlot", "choose_slot", "is_confirmed"]

MOST_CHOICES = 4  # good, trial, and one fallback from each


@dataclass(frozen=True, slots=True)
class VerifiedSlot:
    """A slot whose tree is what its record says, with its try already counted."""

    choice: StartChoice


def choose_slot(root: Path, journal: Journal) -> VerifiedSlot:
    """The slot to start now. Raises `Rejected("no-slot")` if none is sound, `Unavailable`."""
    path = root / "slots" / BOOT_FILE
    state, devices = load_boot_state(path), load_devices(root)
    if devices is not None:
        for name in ("a", "b"):
            close_slot(root / "slots" / name)
    for _ in range(MOST_CHOICES):
        choice = decide_start(state)
        _tell_failure(state, choice.state_after, journal)
        if choice.state_after != state:
            state = save_boot_state(path, choice.state_after)
        damage = _damage(root / "slots" / choice.slot, choice, devices)
        if damage is None:
            return VerifiedSlot(choice)
        journal.write("boot", "tampered-tree", f"slot {choice.slot}: {damage}", level="error")
        state = save_boot_state(path, record_damage(state, choice.slot))
    raise Rejected("no-slot", "no slot holds firmware that may run", hint="make the device again")


def is_confirmed(root: Path, slot: str) -> bool:
    """Whether the slot of this name, started on trial, has been confirmed or replaced since."""
    trial = load_boot_state(root / "slots" / BOOT_FILE).trial
    return trial is None or trial.slot != slot


def _damage(slot: Path, choice: StartChoice, devices: SlotDevices | None) -> str | None:
    if devices is not None:
        try:  # what is wrong with the machine (`Unavailable`) gives up no slot
            open_slot(devices.device_of(choice.slot), choice.record, slot)
        except Rejected as error:
            return error.message
        return None
    try:
        found = digest_tree(slot)
    except LimpetError as error:
        return error.message
    return None if found == choice.record.tree_sha256 else "its tree differs from its record"


def _tell_failure(before: BootState, after: BootState, journal: Journal) -> None:
    if after.failure is not None and after.failure != before.failure:
        detail = f"version {after.failure.version}: {after.failure.reason}"
        journal.write("boot", "fell-back", detail, level="error")
