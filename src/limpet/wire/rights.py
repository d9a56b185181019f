"""What each process of a firmware may do: a record that travels with the release.

Owns the document. The firmware's own code makes it at the build, from the tables that its
processes confine themselves by; nobody writes it by hand. It is for people and for what they
read: no device takes anything from it.
"""

from typing import Annotated, Literal

from msgspec import Meta

from limpet.wire.codec import Message
from limpet.wire.release import ModelName, Version

__all__ = [
    "RIGHTS_BYTES",
    "Asking",
    "Network",
    "ProcessRights",
    "Rights",
    "SystemCalls",
    "rights_path",
]

RIGHTS_BYTES = 256 << 10
"""Longest record that anyone reads."""

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Words = Annotated[str, Meta(min_length=1, max_length=400)]
Names = Annotated[tuple[Name, ...], Meta(max_length=512)]
Count = Annotated[int, Meta(ge=0)]
Ports = Annotated[tuple[Annotated[int, Meta(ge=0, le=65535)], ...], Meta(max_length=64)]

Network = Literal["none", "accepts", "calls", "link"]
"""Nothing; takes connections; makes them; datagrams of the local link."""


class Asking(Message, frozen=True, kw_only=True):
    """The requests that a process may send to another; any other ends the asker."""

    role: Name
    requests: Names


class SystemCalls(Message, frozen=True, kw_only=True):
    """One reason for system calls, and the calls."""

    why: Words
    calls: Names


class ProcessRights(Message, frozen=True, kw_only=True):
    """One process of a running device."""

    role: Name
    task: Words
    asks: Annotated[tuple[Asking, ...], Meta(max_length=32)]
    network: Network
    listens: Ports = ()  # TCP
    connects: Ports = ()  # TCP
    reads: Annotated[tuple[Words, ...], Meta(max_length=64)] = ()
    writes: Annotated[tuple[Words, ...], Meta(max_length=64)] = ()
    memory_bytes: Count = 0  # of address space; 0: no bound of its own
    file_bytes: Count = 0
    open_files: Count = 0
    system_calls: Annotated[tuple[SystemCalls, ...], Meta(max_length=64)] = ()


class Rights(Message, frozen=True, kw_only=True):
    """All processes of one firmware, and which of them each interface of the design ends in."""

    spec: Literal["limpet-rights-1"] = "limpet-rights-1"
    model: ModelName
    version: Version
    mechanisms: Names  # that hold every process that has bounds
    processes: Annotated[tuple[ProcessRights, ...], Meta(min_length=1, max_length=32)]
    handles: Annotated[dict[Name, Name], Meta(max_length=256)]  # process by interface id


def rights_path(sha256: str) -> str:
    """Where a repository keeps the record with this hash."""
    return f"rights/{sha256}.json"
