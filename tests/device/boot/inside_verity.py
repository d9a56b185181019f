"""Runs as the only program of a kernel of its own that has dm-verity (see test_dm_verity).

Arguments: the directory of limpet's sources, and the record of the slot as JSON. The slot is
/dev/ubdb. Prints one word and a text for each thing that it saw.
"""

import errno
import os
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])

import msgspec

from limpet.device.boot import _blocks
from limpet.errors import Rejected
from limpet.firmware.slots import SlotRecord

DEVICE, PLACE = Path("/dev/ubdb"), Path("/mnt/b")


def drop_caches() -> None:
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def flip(place: int) -> None:
    with DEVICE.open("r+b", buffering=0) as device:
        device.seek(place)
        byte = device.read(1)[0]
        device.seek(place)
        device.write(bytes([byte ^ 1]))
        os.fsync(device.fileno())


def read(name: str) -> str:
    drop_caches()
    try:
        return f"{len((PLACE / name).read_bytes())} bytes"
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def open_slot(record: SlotRecord) -> str:
    try:
        _blocks.open_slot(DEVICE, record, PLACE)
    except Rejected as error:
        return f"{error.reason}: {error.message}"
    return "mounted"


def place_of(marker: bytes) -> int:
    data = DEVICE.read_bytes()
    return data.index(marker)


record = msgspec.json.decode(sys.argv[2], type=SlotRecord)
print("mapper", _blocks._has_device_mapper(), flush=True)
print("open", open_slot(record), flush=True)
mounts = Path("/proc/mounts").read_text().splitlines()
print("source", next(line for line in mounts if str(PLACE) in line), flush=True)
print("seldom", read("system/seldom"), flush=True)
seldom = place_of(b"SELDOM-READ")
flip(seldom)
print("changed", read("system/seldom"), flush=True)
print("others", read("runtime/start.py"), flush=True)
flip(seldom)
print("mended", read("system/seldom"), flush=True)
_blocks.close_slot(PLACE)
flip(place_of(b"STARTED-FROM"))
drop_caches()
print("damaged", open_slot(record), flush=True)
wrong = msgspec.structs.replace(record.verity, root_sha256="ab" * 32)
print("root", open_slot(msgspec.structs.replace(record, verity=wrong)), flush=True)
print("left", Path("/dev/mapper/limpet-b").exists(), os.path.ismount(PLACE), flush=True)
