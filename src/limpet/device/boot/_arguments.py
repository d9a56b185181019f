"""The arguments of boot, read once by boot and again by each process that decides for it."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limpet.device.link.start import parse_address, parse_resolve

__all__ = ["Arguments", "parse_arguments", "supervisor_options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What boot was told."""

    root: Path  # absolute
    listen: str
    resolve: tuple[str, ...]
    proxy: str | None
    first_user_id: int | None
    attach: bool
    trial_deadline: float | None
    noise_source: Path | None
    factory: bool
    end_with_parent: bool


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """The arguments of boot. Raises `Rejected` for an address that is none."""
    parser = argparse.ArgumentParser(prog="python -m limpet.device.boot", allow_abbrev=False)
    parser.add_argument("root", type=Path, help="the device's directory")
    parser.add_argument("--listen", metavar="HOST:PORT", default="127.0.0.1:0")
    parser.add_argument("--resolve", metavar="HOST:PORT=ADDRESS:PORT", action="append", default=[])
    parser.add_argument(
        "--proxy", metavar="HOST:PORT", help="the HTTP proxy of this network, for updates"
    )
    parser.add_argument(
        "--first-user-id", metavar="N", type=int, help="as root: the roles run as N and up"
    )
    parser.add_argument(
        "--roles",
        choices=["start", "attach"],
        default="start",
        help="attach: a service manager starts the roles",
    )
    parser.add_argument("--trial-deadline", metavar="SECONDS", type=float)
    parser.add_argument("--noise-source", metavar="PATH", type=Path, help="instead of /dev/hwrng")
    parser.add_argument("--factory", action="store_true", help="be made, over stdin and stdout")
    parser.add_argument(
        "--end-with-parent", action="store_true", help="stop when the starting process dies"
    )
    given = parser.parse_args(argv)
    parse_address(given.listen)
    parse_resolve(given.resolve)
    if given.proxy is not None:
        parse_address(given.proxy)
    return Arguments(
        root=given.root.absolute(),
        listen=given.listen,
        resolve=tuple(given.resolve),
        proxy=given.proxy,
        first_user_id=given.first_user_id,
        attach=given.roles == "attach",
        trial_deadline=given.trial_deadline,
        noise_source=given.noise_source.absolute() if given.noise_source is not None else None,
        factory=given.factory,
        end_with_parent=given.end_with_parent,
    )


def supervisor_options(given: Arguments) -> Mapping[str, tuple[str, ...]]:
    """What of it the supervisor is told, for itself and its roles."""
    options = {"listen": (given.listen,), "resolve": given.resolve}
    if given.proxy is not None:
        options["proxy"] = (given.proxy,)
    if given.noise_source is not None:
        options["noise-source"] = (str(given.noise_source),)
    if given.first_user_id is not None:
        options["first-user-id"] = (str(given.first_user_id),)
    if given.attach:
        options["roles"] = ("attach",)
    return options
