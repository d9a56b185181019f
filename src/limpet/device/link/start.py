"""What a role is told when it starts: its name, its slot, its links.

Owns the argument list between the supervisor (or boot) and a role; an unknown
argument is refused. Opens nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

import msgspec

from limpet.device.enclosure import Entered
from limpet.device.link.launch import ENTERED
from limpet.device.link.roles import Role
from limpet.errors import Rejected

__all__ = ["Start", "parse_address", "parse_resolve", "parse_start", "start_arguments"]

ARGUMENT_BYTES = 16 << 10
"""Largest JSON argument that is read."""

_FLAG = "factory"
_OPTIONS = ("listen", "resolve", "proxy", "noise-source", "first-user-id", "roles", "remote")
_VALUES = frozenset({"role", "root", "slot", "links", "handover", "parent", "entered", *_OPTIONS})


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
    entered: tuple[Entered, ...] = ()  # by the launcher of this process, from within

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
    def first_user_id(self) -> int | None:
        """The block of user ids that boot was given, if any."""
        given = self.options.get("first-user-id", ())
        return int(given[-1]) if given else None

    @property
    def roles_attach(self) -> bool:
        """Whether a service manager starts the roles, which then come to the supervisor."""
        return self.options.get("roles", ())[-1:] == ("attach",)

    @property
    def remote_functions(self) -> bool:
        """Whether the product's code may use the Internet; its support period may be over."""
        return self.options.get("remote", ())[-1:] != ("off",)

    @property
    def proxy(self) -> tuple[str, int] | None:
        """The HTTP proxy of the place, through which the updater calls; the owner's goes first."""
        given = self.options.get("proxy", ())
        return parse_address(given[-1]) if given else None

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
    given = _read(argv)
    try:
        role, slot = Role(given["role"][-1]), given["slot"][-1]
        root = Path(given["root"][-1])
        handover, parent = given.get("handover", ()), given.get("parent", ["0"])[-1]
        if slot not in ("a", "b"):
            raise ValueError(f"no slot {slot!r}")
        return Start(
            role=role,
            root=root,
            slot=cast(Literal["a", "b"], slot),
            links=_parse_links(role, given.get("links", ["{}"])[-1]),
            handover=int(handover[-1]) if handover else None,
            parent=int(parent),
            factory="factory" in given,
            options={name: tuple(given[name]) for name in _OPTIONS if name in given},
            entered=_parse_entered(given.get("entered", ["[]"])[-1]),
        )
    except KeyError as error:
        raise Rejected("bad-arguments", f"--{error.args[0]} is missing") from error
    except ValueError as error:
        raise Rejected("bad-arguments", str(error)) from error


def _read(argv: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Every argument's values by its name. By hand: argparse would cost each role 600 KiB."""
    given: dict[str, list[str]] = {}
    words = iter(argv)
    for word in words:
        name = word.removeprefix("--")
        if word == f"--{_FLAG}":
            given[name] = []
        elif word.startswith("--") and name in _VALUES and (value := next(words, None)) is not None:
            given.setdefault(name, []).append(value)
        else:
            raise Rejected("bad-arguments", f"{word!r} is no argument, or lacks its value")
    return given


def _parse_entered(text: str) -> tuple[Entered, ...]:
    try:
        return msgspec.json.decode(text, type=tuple[Entered, ...])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejected("bad-arguments", f"{ENTERED}: {error}") from error


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
