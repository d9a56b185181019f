"""The device's host: its files, its log, its kernel's source of randomness.

Owns reading what lies below the device's directory and a few files of /proc and
/sys. Reads only, and never repeats the content of a private file.
"""

import stat
from dataclasses import dataclass
from pathlib import Path

import msgspec

from limpet.audit.target import Target
from limpet.errors import LimpetError, Unavailable
from limpet.firmware.tree import digest_tree
from limpet.storage import read_bounded

__all__ = [
    "KernelRandomness",
    "LogLine",
    "Mechanism",
    "NoiseSource",
    "OpenFile",
    "Slot",
    "read_address_randomization",
    "read_device_log",
    "read_kernel_randomness",
    "read_mechanisms",
    "read_noise_source",
    "read_open_files",
    "read_slots",
]

MAX_LOG = 4 << 20
MAX_STATUS = 64 << 10
MAX_ENTRIES = 20_000
PRIVATE = ("keeper", "accounts", "gateway", "updater", "app", "announcer")
_POOL = Path("/proc/sys/kernel/random/entropy_avail")
_RANDOMIZE = Path("/proc/sys/kernel/randomize_va_space")
_GENERATOR = Path("/sys/devices/virtual/misc/hw_random/rng_current")
_CPU = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A private file or directory that others than its owner may read or change."""

    path: str  # relative to the device
    mode: int


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One mechanism that a role says it is confined by, or is not."""

    role: str
    name: str
    in_force: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One event of the device's log."""

    event: str
    detail: str
    role: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One installed tree and what the boot record says it must be."""

    name: str
    version: str
    recorded: str  # SHA-256 of the tree, as verified when it was installed
    found: str  # computed now; empty if the slot holds no tree


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRandomness:
    """The kernel's random number generator."""

    entropy_bits: int  # 256 once it is seeded
    hardware: str  # the hardware generator in use, or ""
    processor_instruction: bool  # RDRAND, RNDR


@dataclass(frozen=True, slots=True)
class NoiseSource:
    """The hardware generator as the device tests it; empty where it says nothing of one."""

    state: str = ""  # absent, unreadable, healthy, failing
    detail: str = ""


def read_open_files(target: Target) -> tuple[int, tuple[OpenFile, ...]]:
    """How many private files and directories there are, and those that are not private."""
    root = target.need(target.device_dir, "--device")
    seen, loose = 0, []
    for name in PRIVATE:
        if not (root / name).is_dir():
            continue
        for path in [root / name, *sorted((root / name).rglob("*"))][:MAX_ENTRIES]:
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            seen += 1
            mode = stat.S_IMODE(status.st_mode)
            closed_above = path.parent != root and not (root / name).stat().st_mode & 0o077
            if mode & 0o077 and not closed_above:
                loose.append(OpenFile(str(path.relative_to(root)), mode))
    if not seen:
        raise Unavailable(f"{root} is not a device's directory")
    return seen, tuple(loose)


def read_device_log(target: Target) -> tuple[LogLine, ...]:
    """The device's log, rotated part first, oldest first."""
    root = target.need(target.device_dir, "--device")
    lines: list[LogLine] = []
    for path in sorted((root / "log").glob("device.log*"), reverse=True):
        for raw in read_bounded(path, max_bytes=MAX_LOG).splitlines():
            try:
                entry = msgspec.json.decode(raw, type=dict[str, object])
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue  # cut by a power failure
            event, detail, role = (str(entry.get(k, "")) for k in ("event", "detail", "role"))
            lines.append(LogLine(event, detail, role))
    return tuple(lines)


class _Role(msgspec.Struct):
    role: str
    confinement: tuple[dict[str, str | bool], ...] = ()


class _Status(msgspec.Struct):
    roles: tuple[_Role, ...]


def read_mechanisms(target: Target) -> tuple[Mechanism, ...]:
    """What each role says of its confinement, as the supervisor wrote it down."""
    root = target.need(target.device_dir, "--device")
    data = read_bounded(root / "run" / "status.json", max_bytes=MAX_STATUS)
    try:
        status = msgspec.json.decode(data, type=_Status)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unavailable("the device's status cannot be read") from error
    return tuple(
        Mechanism(
            role=role.role,
            name=str(one.get("mechanism", "")),
            in_force=one.get("in_force") is True,
            detail=str(one.get("detail", "")),
        )
        for role in status.roles
        for one in role.confinement
    )


def read_slots(target: Target) -> tuple[Slot, ...]:
    """Both slots against the boot record."""
    root = target.need(target.device_dir, "--device")
    data = read_bounded(root / "slots" / "boot.json", max_bytes=64 << 10)
    try:
        record = msgspec.json.decode(data, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unavailable("the boot record cannot be read") from error
    slots = []
    for name, found in sorted(_slot_records(record).items()):
        tree = root / "slots" / name
        try:
            digest = digest_tree(tree) if tree.is_dir() else ""
        except LimpetError as error:
            digest = f"unusable ({error.message})"
        recorded = str(found.get("tree_sha256", ""))
        version = str(found.get("version", ""))
        slots.append(Slot(name=name, version=version, recorded=recorded, found=digest))
    if not slots:
        raise Unavailable("the boot record names no slot")
    return tuple(slots)


def _slot_records(node: object) -> dict[str, dict[str, object]]:
    """The records keyed by slot name, wherever in the document they are."""
    if not isinstance(node, dict):
        return {}
    here = {k: v for k, v in node.items() if k in ("a", "b") and isinstance(v, dict)}
    if here:
        return here
    for value in node.values():
        if found := _slot_records(value):
            return found
    return {}


def read_address_randomization(target: Target) -> int:
    """The kernel's setting for address space randomization: 2 is full (proc_sys_kernel(5))."""
    target.need(target.device_dir, "--device")
    try:
        return int(_RANDOMIZE.read_text().strip())
    except (OSError, ValueError) as error:
        raise Unavailable("this host does not tell its address space randomization") from error


def read_kernel_randomness(target: Target) -> KernelRandomness:
    """What feeds the device's random numbers; the audit must run on the device's host."""
    target.need(target.device_dir, "--device")
    try:
        entropy = int(_POOL.read_text().strip())
    except (OSError, ValueError) as error:
        raise Unavailable("this host does not say how its random numbers are made") from error
    hardware = _text(_GENERATOR).strip()
    flags = _text(_CPU).split()
    return KernelRandomness(
        entropy_bits=entropy,
        hardware="" if hardware in ("", "none") else hardware,
        processor_instruction="rdrand" in flags or "rng" in flags,
    )


def read_noise_source(target: Target) -> NoiseSource:
    """What the device's supervisor found out about its hardware generator."""
    root = target.need(target.device_dir, "--device")
    try:
        data = read_bounded(root / "run" / "status.json", max_bytes=64 << 10)
        told = msgspec.json.decode(data, type=dict[str, object]).get("randomness")
    except (LimpetError, msgspec.DecodeError, UnicodeDecodeError):
        return NoiseSource()
    if not isinstance(told, dict):
        return NoiseSource()
    return NoiseSource(str(told.get("source", "")), str(told.get("detail", ""))[:200])


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(1 << 20).decode("ascii", "replace")
    except OSError:
        return ""
