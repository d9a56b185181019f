"""What Python and the C library would load late, loaded now: once a process is confined, no
shared library can be mapped any more.

Owns the lists. A library that is missing on this machine is left out: what would have needed
it does without, as everywhere.
"""

import contextlib
import ctypes
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from limpet.device.confine._allowed import Compartment

__all__ = ["load_late"]

_HOST_NAMES = ("encodings.idna",)  # ssl and the resolver encode host names with it; unicodedata
_THREADS = ("concurrent.futures.thread",)  # asyncio.to_thread imports it at its first use; _queue
_ZONES = ("importlib.resources",)  # zoneinfo asks the package tzdata with it; _random

MODULES: Mapping[Compartment, Sequence[str]] = {
    Compartment.KEEPER: _HOST_NAMES,
    Compartment.TOKEN_KEEPER: _HOST_NAMES,
    Compartment.ACCOUNTS: _THREADS,
    Compartment.APP: (*_THREADS, *_ZONES),  # and what its way out needs, if it has one
    Compartment.DIALER: _HOST_NAMES,
    Compartment.UPDATER: (*_HOST_NAMES, *_THREADS, *_ZONES),
}
"""Modules with a shared library behind them, that are imported inside of functions."""

DATABASES: Mapping[Compartment, str] = {
    Compartment.TOKEN_KEEPER: "passwd",  # tpm2-tss looks for a home directory, and does without
    Compartment.DIALER: "hosts",
    Compartment.UPDATER: "hosts",
}
"""The database that the C library asks for a process; each service of it is a library."""

_SWITCH = Path("/etc/nsswitch.conf")
_SWITCH_BYTES = 64 << 10


def load_late(compartment: Compartment) -> None:
    """Load what `compartment` would load later. Before any limit is set."""
    for module in MODULES.get(compartment, ()):
        importlib.import_module(module)
    if compartment in DATABASES:
        for service in services_of(DATABASES[compartment], _read(_SWITCH)):
            with contextlib.suppress(OSError):  # built into the C library, or not installed
                ctypes.CDLL(f"libnss_{service}.so.2")


def services_of(database: str, text: str) -> tuple[str, ...]:
    """The services that glibc asks for `database` by nsswitch.conf(5), in its order."""
    for line in text.splitlines():
        name, _, services = line.partition("#")[0].partition(":")
        if name.strip() == database:
            return tuple(word for word in services.split() if word.isidentifier())
    return ()


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_SWITCH_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
