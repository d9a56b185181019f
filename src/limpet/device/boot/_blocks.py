"""Slots that are block devices: verified, then mounted read-only at the slot's directory.

Owns the two ways. With device-mapper in the kernel, dm-verity checks every block whenever it is
read, for as long as the slot runs: a changed one is an error of the disk, never content. Without
it, all blocks are read and checked before each start, and what changes later is not seen. Runs
two programs of the system, as root, before anything of the slot does.
"""

import contextlib
import os
import subprocess
from pathlib import Path

from limpet.device.enclosure import Capability, permitted
from limpet.errors import Rejected, Unavailable
from limpet.firmware.slots import SlotName, SlotRecord
from limpet.firmware.verity import hash_offset, verify_blocks
from limpet.wire.release import Verity

__all__ = ["close_slot", "open_slot"]

RUN_SECONDS = 60.0
MOUNTED = "ro,nodev,nosuid"
STARTED_FROM = ("runtime", "packages", "app", "trust", "firmware.json", "product.toml")
"""What limpet itself runs of a slot, as far as it is there; it is read once before the start,
through the kernel's checks, so that a slot that cannot start is never begun."""

_READ_BYTES = 1 << 20
_ENVIRONMENT = {"veritysetup": (2, 3, 5), "mount": (1, 2)}
"""Exit statuses that say nothing of the slot: no permission, no memory, busy."""

_WORDS = 200


def open_slot(device: Path, record: SlotRecord, place: Path) -> None:
    """Mount the slot at `device` at `place`, under the checks of its record.

    Raises `Rejected("tampered-blocks")` for content that is not the record's, `Unavailable`.
    """
    verity = record.verity
    if verity is None:
        raise Rejected("tampered-blocks", "the record of the slot has no root hash")
    if Capability.SYS_ADMIN not in permitted():
        hint = "let boot start the roles (it then keeps CAP_SYS_ADMIN), as root"
        raise Unavailable("boot has no right to mount a slot", hint=hint)
    source = device
    if _has_device_mapper():
        source = _map(device, verity, place.name)
    else:
        verify_blocks(device, verity)
    try:
        _run("mount", "-o", MOUNTED, str(source), str(place))
        _read_through(place)
    except (Rejected, Unavailable):
        close_slot(place)
        raise


def close_slot(place: Path) -> None:
    """Undo `open_slot`, as far as anything of it is there; a slot still in use stays."""
    with contextlib.suppress(Rejected, Unavailable):
        while os.path.ismount(place):
            _run("umount", str(place))
    if Path(f"/dev/mapper/{_name(place.name)}").exists():
        with contextlib.suppress(Rejected, Unavailable):
            _run("veritysetup", "close", _name(place.name))


def _has_device_mapper() -> bool:
    with contextlib.suppress(OSError):
        return "device-mapper" in Path("/proc/devices").read_text(encoding="ascii")
    return False


def _map(device: Path, verity: Verity, slot: str) -> Path:
    close = f"/dev/mapper/{_name(slot)}"
    if Path(close).exists():
        _run("veritysetup", "close", _name(slot))
    where = f"--hash-offset={hash_offset(verity)}"
    _run("veritysetup", "open", where, str(device), _name(slot), str(device), verity.root_sha256)
    return Path(close)


def _name(slot: SlotName | str) -> str:
    return f"limpet-{slot}"


def _read_through(place: Path) -> None:
    try:
        for name in STARTED_FROM:
            path = place / name
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            for file in files:
                if file.is_file():
                    _read(file)
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise Rejected("tampered-blocks", f"{error.filename or place}: {why}") from error


def _read(file: Path) -> None:
    with file.open("rb", buffering=0) as opened:
        while opened.read(_READ_BYTES):
            pass


def _run(*command: str) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
            timeout=RUN_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        hint = "Debian: apt-get install cryptsetup-bin mount"
        raise Unavailable(f"{command[0]} is not installed", hint=hint) from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{command[0]} gave no answer in {RUN_SECONDS:.0f} s") from error
    if done.returncode != 0:
        # Only a bad slot may be given up: for want of a right or of memory boot tries again.
        environment = done.returncode in _ENVIRONMENT.get(command[0], ())
        said = done.stderr.decode("utf-8", "replace").strip().replace("\n", "; ")[:_WORDS]
        message = f"{command[0]}: {said or 'failed'}"
        raise Unavailable(message) if environment else Rejected("tampered-blocks", message)
