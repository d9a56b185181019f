"""`limpet product mud` and `limpet product nftables`: what the network should let pass.

Owns arguments, the look-up of addresses where it is asked for, and files. What is permitted
is decided by `limpet.product` from the design alone.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import typer

from limpet.cli._frame import emit, show_examples
from limpet.cli._product_parts import DIRECTORY, JSON, find_product_file
from limpet.errors import Rejected, Unavailable
from limpet.product import list_flows, list_hosts, load_product, mud_url, render_mud
from limpet.product.mud import mud_path, signature_path
from limpet.product.nftables import (
    ANNOUNCER_USER,
    APP_USER,
    UPDATER_USER,
    Setting,
    render_device,
    render_dnsmasq,
    render_guard,
)
from limpet.storage import make_directory, read_bounded, write_atomic

__all__ = ["add_commands"]

PUBLIC_FILE, PUBLIC_DIRECTORY = 0o644, 0o755
PEM_BYTES = 64 << 10


class _Written(msgspec.Struct, frozen=True, kw_only=True):
    """What `mud --out` prints as JSON."""

    mud_url: str
    files: tuple[str, ...]
    signed: bool
    supported: bool
    flows: int


class _Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What `nftables` prints as JSON."""

    rules: str
    hosts: tuple[str, ...]
    addresses: dict[str, tuple[str, ...]]  # by host; empty where a name server fills the sets


def add_commands(app: typer.Typer) -> None:
    """Make them commands of `app`."""
    app.command(
        epilog=show_examples(
            "limpet product mud examples/thermostat",
            "limpet product mud . --out vendor/public/mud --key mud.key --certificate mud.pem",
        )
    )(mud)
    app.command(
        epilog=show_examples(
            "limpet product nftables examples/thermostat",
            "limpet product nftables . --guard 02:00:00:00:00:01 --guard 192.168.1.20 --resolve",
            "limpet product nftables . --dnsmasq",
        )
    )(nftables)


def mud(
    directory: Path = DIRECTORY,
    out: Path | None = typer.Option(
        None, "--out", metavar="DIR", help="Write MODEL.json there, and MODEL.p7s if signed."
    ),
    key: Path | None = typer.Option(None, "--key", help="Sign with this ECDSA key (PEM)."),
    certificate: Path | None = typer.Option(
        None, "--certificate", help="The signer's certificate and its issuers (PEM)."
    ),
    passphrase_env: str = typer.Option(
        "", "--passphrase-env", metavar="NAME", help="The variable with the key's passphrase."
    ),
    json: bool = JSON,
) -> None:
    """The MUD file (RFC 8520): what a network should let this device do, from its design."""
    product = load_product(find_product_file(directory))
    signing = _signer(key, certificate, passphrase_env, out)
    now = datetime.now(UTC)
    supported = now.date() <= product.support.until
    document = render_mud(product, last_update=now, supported=supported, signed=signing)
    if out is None:
        print(document.decode(), end="")
        return
    make_directory(out, mode=PUBLIC_DIRECTORY)
    files = {out / Path(mud_path(product)).name: document}
    if key is not None and certificate is not None:
        signature = _sign(document, key, certificate, passphrase_env)
        files = {out / Path(signature_path(product)).name: signature, **files}
    for path, data in files.items():
        write_atomic(path, data, mode=PUBLIC_FILE)
    written = _Written(
        mud_url=mud_url(product),
        files=tuple(str(path) for path in files),
        signed=signing,
        supported=supported,
        flows=len(list_flows(product)),
    )
    emit(written, json=json, human=_print_written)


def nftables(
    directory: Path = DIRECTORY,
    guard: list[str] = typer.Option(
        [], "--guard", metavar="ADDRESS", help="Rules for the gateway: the device's MAC or IP."
    ),
    resolve: bool = typer.Option(False, "--resolve", help="Look the hosts up now: fixed sets."),
    dnsmasq: bool = typer.Option(
        False, "--dnsmasq", help="Lines for dnsmasq, which fill the sets, in place of rules."
    ),
    name_server: list[str] = typer.Option(
        [], "--name-server", metavar="IP", help="The only name servers; any local one by default."
    ),
    local_network: list[str] = typer.Option(
        [], "--local-network", metavar="NETWORK", help="Local beside the private ranges."
    ),
    proxy: list[str] = typer.Option(
        [], "--proxy", metavar="IP:PORT", help="A proxy that the owner sets for updates."
    ),
    updater_user: str = typer.Option(UPDATER_USER, "--updater-user", metavar="USER"),
    app_user: str = typer.Option(APP_USER, "--app-user", metavar="USER"),
    announcer_user: str = typer.Option(ANNOUNCER_USER, "--announcer-user", metavar="USER"),
    resolver_user: str | None = typer.Option(
        None, "--resolver-user", metavar="USER", help="Of a resolver on the device, as dnsmasq."
    ),
    out: Path | None = typer.Option(None, "--out", metavar="FILE", help="Write to a file."),
    json: bool = JSON,
) -> None:
    """Packet filters for nftables from the design: for the device, or to guard it (--guard)."""
    product = load_product(find_product_file(directory))
    addresses = _look_up(list_hosts(product)) if resolve else {}
    setting = Setting(
        product=product,
        addresses=addresses,
        name_servers=name_server,
        local_networks=local_network,
        proxies=proxy,
    )
    users = {"updater_user": updater_user, "app_user": app_user, "announcer_user": announcer_user}
    if dnsmasq:
        text = render_dnsmasq(product, guard=bool(guard))
    elif guard:
        text = render_guard(setting, sources=guard)
    else:
        text = render_device(setting, **users, resolver_user=resolver_user)
    if out is not None:
        write_atomic(out, text.encode(), mode=PUBLIC_FILE)
        text = f"wrote {out}\n" if not json else text
    rules = _Rules(rules=text, hosts=list_hosts(product), addresses=dict(addresses))
    emit(rules, json=json, human=lambda made: print(made.rules, end=""))


def _look_up(hosts: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    found = {}
    for host in hosts:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Unavailable(
                f"the address of {host} cannot be found: {(error.strerror or '').lower()}",
                hint="without --resolve the sets are empty until a name server fills them",
            ) from error
        found[host] = tuple(sorted({str(answer[4][0]) for answer in answers}))
    return found


def _signer(key: Path | None, certificate: Path | None, passphrase: str, out: Path | None) -> bool:
    """Whether it is signed. Raises `Rejected` for half of what that takes."""
    if key is None and certificate is None and not passphrase:
        return False
    if key is None or certificate is None or out is None:
        raise Rejected(
            "no-signer",
            "a signed MUD file takes a key, its certificate and a place",
            hint="give --key, --certificate and --out",
        )
    return True


def _sign(document: bytes, key: Path, certificate: Path, variable: str) -> bytes:
    from limpet.crypto.chains import load_certificates
    from limpet.crypto.cms import sign_detached
    from limpet.crypto.keys import tls_key_from_pem

    passphrase = os.environ.get(variable, "").encode() if variable else None
    if variable and not passphrase:
        raise Rejected("no-passphrase", f"the environment variable {variable} is empty or not set")
    return sign_detached(
        document,
        chain=load_certificates(read_bounded(certificate, max_bytes=PEM_BYTES)),
        key=tls_key_from_pem(read_bounded(key, max_bytes=PEM_BYTES), passphrase=passphrase),
    )


def _print_written(written: _Written) -> None:
    for file in written.files:
        print(f"wrote {file}")
    print(f"{written.flows} flows; devices announce {written.mud_url}")
    if not written.signed:
        print("it is not signed: RFC 8520 wants a signature (--key and --certificate)")
    if not written.supported:
        print("it says that the device is not supported any more")
