"""Somebody with a hand on the storage: no slot below the security counter starts."""

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from tests.device.workshop import make_device, make_slot

from limpet.device.boot._choice import choose_slot
from limpet.device.link.journal import Journal
from limpet.errors import Rejected
from limpet.firmware.slots import (
    BOOT_FILE,
    decide_start,
    load_boot_state,
    record_activation,
    record_confirmation,
    save_boot_state,
)


def updated(root: Path, *, counter: int) -> Path:
    """A device that ran 1.0.0 with counter 1 in slot a, and runs 1.1.0 with `counter` in b."""
    make_device(root)
    record = make_slot(root / "slots" / "b", version="1.1.0")
    record = msgspec.structs.replace(record, security_counter=counter)
    path = root / "slots" / BOOT_FILE
    state = record_activation(load_boot_state(path), "b", record)
    save_boot_state(path, record_confirmation(decide_start(state).state_after))
    return root


def choose(root: Path) -> str:
    journal = Journal(root, clock=lambda: datetime.now(UTC), monotonic=time.monotonic)
    return choose_slot(root, journal).choice.slot


def swap(root: Path) -> None:
    slots = root / "slots"
    (slots / "a").rename(slots / "c")
    (slots / "b").rename(slots / "a")
    (slots / "c").rename(slots / "b")


def test_the_newer_firmware_starts_while_nobody_touches_it(tmp_path: Path) -> None:
    assert choose(updated(tmp_path, counter=2)) == "b"


def test_swapped_directories_bring_no_firmware_with_a_closed_hole_back(tmp_path: Path) -> None:
    root = updated(tmp_path, counter=2)
    swap(root)
    with pytest.raises(Rejected) as refused:
        choose(root)
    assert refused.value.reason == "no-slot"
    with pytest.raises(Rejected):  # nor at the next start
        choose(root)


def test_the_older_firmware_copied_over_both_slots_does_not_start(tmp_path: Path) -> None:
    root = updated(tmp_path, counter=2)
    shutil.rmtree(root / "slots" / "b")
    shutil.copytree(root / "slots" / "a", root / "slots" / "b")
    with pytest.raises(Rejected) as refused:
        choose(root)
    assert refused.value.reason == "no-slot"


def test_with_the_same_counter_the_other_confirmed_slot_takes_over(tmp_path: Path) -> None:
    root = updated(tmp_path, counter=1)
    shutil.rmtree(root / "slots" / "b")
    assert choose(root) == "a"


def test_an_edited_record_is_not_believed_and_its_copy_is(tmp_path: Path) -> None:
    root = updated(tmp_path, counter=2)
    file = root / "slots" / BOOT_FILE
    data = file.read_bytes()
    changed = data.replace(b'"good":"b"', b'"good":"a"')
    assert changed != data
    file.write_bytes(changed)
    assert choose(root) == "b"
