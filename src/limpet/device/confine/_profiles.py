"""What each role keeps: limits, files, ports and system calls. One table, read like a policy.

A role reads its slot and the system's libraries and writes its own directory. What
goes beyond that is named here with its reason.
"""

import os
import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from limpet.device.confine._allowed import Compartment
from limpet.device.confine._landlock import LINK, READ, WRITE, FileGrant, Ports
from limpet.device.link.permits import Role
from limpet.device.link.start import Start, parse_address
from limpet.errors import Rejected
from limpet.firmware.devices import DEVICES_FILE, load_devices
from limpet.firmware.slots import other_slot
from limpet.storage import read_bounded
from limpet.wire.keystore import KEYSTORE_BYTES, KEYSTORE_FILE, decode_key_store

__all__ = ["NETWORKED", "PROFILES", "Profile", "file_grants", "places_of"]

_MIB = 1 << 20
HTTPS_PORT = 443
DNS_PORT = 53  # answers over UDP are not covered by Landlock; long ones come over TCP

SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ssl", "/etc/localtime", "/etc/ld.so.cache")
"""Shared libraries, the system's time zones and OpenSSL's configuration."""

DEVICES = ("/dev/null", "/dev/urandom")
NAMES = ("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf")
"""What the resolver reads: the updater alone looks up names."""

TPM = Path("/dev/tpmrm0")
"""The TPM's resource manager, for the keeper where its key is in there."""

SENSORS = ("/sys/class/thermal", "/sys/devices/virtual/thermal", "/sys/class/gpio")
"""The app reads the machine's sensors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The bounds of one role. Memory is address space: about eight times what is resident."""

    memory_bytes: int
    file_bytes: int
    open_files: int
    ports: Callable[[Start], Ports]
    compartment: Callable[[Start], Compartment]

    @property
    def limits(self) -> Mapping[int, int]:
        """The limits for setrlimit(2)."""
        return {
            resource.RLIMIT_AS: self.memory_bytes,
            resource.RLIMIT_FSIZE: self.file_bytes,
            resource.RLIMIT_NOFILE: self.open_files,
            resource.RLIMIT_NPROC: 4096,  # counts the user's threads everywhere; forks: seccomp
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_MEMLOCK: 0,
            resource.RLIMIT_MSGQUEUE: 0,
        }


def _no_ports(start: Start) -> Ports:
    del start
    return Ports()


def _listening(start: Start) -> Ports:
    return Ports(bind=(start.listen[1],))


def _vendor(start: Start) -> Ports:
    """HTTPS, names, and the ports that boot was told to use instead."""
    ports = {HTTPS_PORT, DNS_PORT}
    for name, address in start.resolve.items():
        ports |= {parse_address(name)[1], parse_address(address)[1]}
    if start.proxy is not None:
        ports.add(start.proxy[1])
    return Ports(connect=tuple(sorted(ports)))


def _always(compartment: Compartment) -> Callable[[Start], Compartment]:
    return lambda start: compartment


def _keeper(start: Start) -> Compartment:
    """A token's module makes calls of its own; without one nobody gets them."""
    file = start.root / KEYSTORE_FILE
    if not file.exists():
        return Compartment.KEEPER
    settings = decode_key_store(read_bounded(file, max_bytes=KEYSTORE_BYTES))
    software = settings.backend == "software"
    return Compartment.KEEPER if software else Compartment.TOKEN_KEEPER


PROFILES: Mapping[Role, Profile] = {
    Role.KEEPER: Profile(
        memory_bytes=512 * _MIB, file_bytes=_MIB, open_files=64,
        ports=_no_ports, compartment=_keeper,
    ),
    Role.ACCOUNTS: Profile(
        memory_bytes=768 * _MIB, file_bytes=16 * _MIB, open_files=64,
        ports=_no_ports, compartment=_always(Compartment.ACCOUNTS),
    ),
    Role.APP: Profile(
        memory_bytes=1024 * _MIB, file_bytes=64 * _MIB, open_files=128,
        ports=_no_ports, compartment=_always(Compartment.APP),
    ),
    Role.UPDATER: Profile(
        memory_bytes=1024 * _MIB, file_bytes=256 * _MIB, open_files=128,
        ports=_vendor, compartment=_always(Compartment.UPDATER),
    ),
    Role.GATEWAY: Profile(
        memory_bytes=1024 * _MIB, file_bytes=_MIB, open_files=1024,
        ports=_listening, compartment=_always(Compartment.GATEWAY),
    ),
    # Datagrams of the local link; Landlock knows TCP only, and all of that is refused.
    Role.ANNOUNCER: Profile(
        memory_bytes=256 * _MIB, file_bytes=64 << 10, open_files=32,
        ports=_no_ports, compartment=_always(Compartment.ANNOUNCER),
    ),
}  # fmt: skip


NETWORKED = frozenset({Role.GATEWAY, Role.UPDATER, Role.ANNOUNCER})
"""Who always needs the machine's network; the app's dialer does where the product calls out."""


def file_grants(start: Start) -> tuple[FileGrant, ...]:
    """The files that the role of `start` keeps."""
    if start.role not in PROFILES:
        raise Rejected("not-confined", f"{start.role.value} has no profile")
    read = [start.slot_path, start.root / "identity.json", *_python(), *map(Path, SYSTEM)]
    read += map(Path, DEVICES)
    read.append(Path("/proc") / str(os.getpid()))
    write = [] if start.role is Role.ANNOUNCER else [start.private]  # it keeps nothing
    if start.role is Role.UPDATER:
        read += map(Path, NAMES)
    devices = [TPM] if start.role is Role.KEEPER else []
    if start.role is Role.UPDATER and (slots := load_devices(start.root)) is not None:
        read.append(start.root / "slots" / DEVICES_FILE)
        if slots.rauc is None:
            read.append(slots.device_of(start.slot))  # what a delta begins from
            devices.append(slots.device_of(other_slot(start.slot)))
    if start.role is Role.APP:
        read += map(Path, SENSORS)
    if start.role is Role.GATEWAY:
        read.append(start.root / "run")  # the supervisor's status, for the owner; public (0644)
    # python-tuf's client keeps the current root as a symbolic link.
    links = [start.private] if start.role is Role.UPDATER else []
    return (
        *(FileGrant(path, READ) for path in read),
        *(FileGrant(path, WRITE) for path in write),
        *(FileGrant(path, LINK) for path in links),
        *(FileGrant(path, WRITE) for path in devices),
    )


def places_of(start: Start, *, network: bool) -> tuple[tuple[str, bool], ...]:
    """The same files as paths, and whether the role may write there; for its view of them.

    The process's own directory of /proc is left out: it has none yet. A role that calls out by a
    helper (`network`) has what the resolver reads too.
    """
    own = Path("/proc") / str(os.getpid())
    granted = [grant for grant in file_grants(start) if grant.path != own]
    places = {str(grant.path): grant.rights not in (READ, LINK) for grant in granted}
    if network:
        places |= dict.fromkeys(NAMES, False)
    places |= {str(grant.path): True for grant in granted if grant.rights == WRITE}
    return tuple(sorted(places.items()))


def _python() -> list[Path]:
    """The interpreter, the standard library and the installed packages, and where links to them
    lead: a place alone is no way to what lies elsewhere."""
    named = {place for place in (sys.prefix, sys.base_prefix, *sys.path) if os.path.isabs(place)}
    return sorted({Path(place) for place in named} | {Path(place).resolve() for place in named})
