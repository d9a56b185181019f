"""What a role is told when it starts: its name, its slot, its links.

Owns the argument list between the supervisor (or boot) and a role; an unknown
argument is refused. Opens nothing.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn, cast

import msgspec

from limpet.device.link.permits import Role
from limpet.errors import Rejected

__all__ = ["Start", "parse_address", "parse_resolve", "parse_start", "start_arguments"]

ARGUMENT_BYTES = 16 << 10
"""Largest JSON argument that is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The parsed arguments of one process of a device.

    `links` holds the inherited descriptor of each peer's link; new ends of links whose
    peer was restarted arrive on `handover`. `parent` is the process that must be alive.
    `options` are the values that boot was given, unparsed, for the role that they concern.
    """

    role: Role
    root: Path  # the device's directory
    slot: Literal["a", "b"]
    links: Mapping[Role, int] = field(default_factory=dict)
    handover: int | None = None
    parent: int = 0
    factory: bool = False
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def slot_path(self) -> Path:
        """The installed tree that this process runs from."""
        return self.root / "slots" / self.slot

    @property
    def staging(self) -> Path:
        """Where the updater leaves a finished tree, by the slot's name, for the supervisor."""
        return self.root / "updater" / "staging"

    @property
    def private(self) -> Path:
        """The only directory that this role writes (mode 0700)."""
        return self.root / self.role.value

    @property
    def listen(self) -> tuple[str, int]:
        """Where the gateway listens; port 0 lets the system choose."""
        given = self.options.get("listen", ())
        return parse_address(given[-1]) if given else ("127.0.0.1", 0)

    @property
    def resolve(self) -> Mapping[str, str]:
        """ "host:port" to "address:port", as curl's --resolve; TLS still checks the host."""
        return parse_resolve(self.options.get("resolve", ()))


def parse_address(text: str) -> tuple[str, int]:
    """ "127.0.0.1:8443" or "[::1]:8443" as host and port. Raises `Rejected("bad-address")`."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise Rejected(
            "bad-address", f"{text!r} is no address", hint="write HOST:PORT, as 127.0.0.1:8443"
        )
    return host, int(port)


def parse_resolve(entries: Sequence[str]) -> Mapping[str, str]:
    """Entries "HOST:PORT=ADDRESS:PORT" as a mapping. Raises `Rejected("bad-resolve")`."""
    resolved = {}
    for entry in entries:
        name, equals, address = entry.partition("=")
        if not equals:
            raise Rejected(
                "bad-resolve", f"{entry!r} names no address", hint="write HOST:443=127.0.0.1:8443"
            )
        parse_address(name)
        parse_address(address)
        resolved[name] = address
    return resolved


def start_arguments(start: Start) -> list[str]:
    """The argument list that `parse_start` turns back into `start` (the role comes by module)."""
    pairs = {f"{start.role.value}>{peer.value}": fd for peer, fd in start.links.items()}
    arguments = ["--role", start.role.value, "--root", str(start.root), "--slot", start.slot]
    arguments += ["--links", msgspec.json.encode(pairs).decode(), "--parent", str(start.parent)]
    if start.handover is not None:
        arguments += ["--handover", str(start.handover)]
    if start.factory:
        arguments.append("--factory")
    for name, values in start.options.items():
        for value in values:
            arguments += [f"--{name}", value]
    return arguments


def parse_start(argv: Sequence[str]) -> Start:
    """The start that `argv` (without the program's name) describes. Raises `Rejected`."""
    parser = _Parser(prog="limpet.device", allow_abbrev=False, add_help=False)
    parser.add_argument("--role", required=True, choices=[role.value for role in Role])
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--slot", required=True, choices=["a", "b"])
    parser.add_argument("--links", default="{}")
    parser.add_argument("--handover", type=int)
    parser.add_argument("--parent", type=int, default=0)
    parser.add_argument("--factory", action="store_true")
    parser.add_argument("--listen", action="append", default=[])
    parser.add_argument("--resolve", action="append", default=[])
    parser.add_argument("--noise-source", action="append", default=[])
    given = parser.parse_args(argv)
    role = Role(given.role)
    options = {
        name: tuple(values)
        for name, values in (
            ("listen", given.listen),
            ("resolve", given.resolve),
            ("noise-source", given.noise_source),
        )
        if values
    }
    return Start(
        role=role,
        root=given.root,
        slot=cast(Literal["a", "b"], given.slot),
        links=_parse_links(role, given.links),
        handover=given.handover,
        parent=given.parent,
        factory=given.factory,
        options=options,
    )


def _parse_links(role: Role, text: str) -> Mapping[Role, int]:
    try:
        if len(text) > ARGUMENT_BYTES:
            raise ValueError("too long")
        pairs = msgspec.json.decode(text, type=dict[str, int])
        links = {}
        for pair, descriptor in pairs.items():
            names = pair.split(">")
            names.remove(role.value)
            links[Role(names[0])] = descriptor
    except (msgspec.DecodeError, ValueError, IndexError) as error:
        raise Rejected("bad-arguments", f"--links is not a table of links: {error}") from error
    return links


class _Parser(argparse.ArgumentParser):
    """argparse that raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise Rejected("bad-arguments", message)
