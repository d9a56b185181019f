"""`limpet audit`: attack a running device and report statement by statement.

Owns the reading of arguments and the printing. Never judges: `limpet.audit` does.
"""

import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from limpet.audit import (
    Check,
    Endpoint,
    Finding,
    Report,
    Target,
    Verdict,
    audit,
    load_checks,
    parse_endpoint,
)
from limpet.audit.report import encode_report
from limpet.cli._frame import EXIT_USAGE, make_app, progress, show_examples
from limpet.errors import Rejected, Unavailable
from limpet.owner.store import Store
from limpet.requirements import load_statements
from limpet.storage import read_bounded, write_atomic

__all__ = ["app", "show_report"]

MAX_INPUT = 256 << 10
REACH_SECONDS = 5.0
PIPE_COLUMNS = 240
STYLES = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.NOT_APPLICABLE: "dim",
    Verdict.COULD_NOT_DETERMINE: "yellow",
    Verdict.ATTESTED: "cyan",
    Verdict.NOT_YET: "magenta",
}

app = make_app("Attack a running device and report statement by statement.", bare=True)


_Targets = Annotated[
    list[str],
    typer.Argument(metavar="TARGET...", help="The device's URL; further ones to compare with."),
]
_Product = Annotated[Path | None, typer.Option(help="The product's directory.")]
_DeviceDir = Annotated[
    Path | None, typer.Option("--device", help="The device's directory, if it runs on this host.")
]
_DeviceRoot = Annotated[Path | None, typer.Option(help="The device root (PEM).")]
_Fresh = Annotated[str | None, typer.Option(help="A device that nobody has claimed.")]
_Token = Annotated[Path | None, typer.Option(help="The owner's token, in a file.")]
_OwnerStore = Annotated[
    Path | None, typer.Option(help="`limpet owner`'s directory: token and root from there.")
]
_Account = Annotated[str, typer.Option(help="Whose password is guessed at.")]
_LabelUri = Annotated[
    str | None, typer.Option(help="The label's QR text, as @FILE (it holds a secret).")
]
_LabelFile = Annotated[Path | None, typer.Option("--label", help="The label's artwork (SVG).")]
_VendorUrl = Annotated[
    str | None, typer.Option(help="The vendor's service, by the name in its certificate.")
]
_ServiceRoot = Annotated[Path | None, typer.Option(help="The service root (PEM).")]
_VendorDir = Annotated[Path | None, typer.Option("--vendor", help="The vendor's directory.")]
_Resolve = Annotated[
    list[str] | None, typer.Option(metavar="HOST:PORT=ADDRESS:PORT", help="As curl's.")
]
_Only = Annotated[str, typer.Option(help="Statements, with commas: R2.2.1,R2.3.4.")]
_FailOn = Annotated[str, typer.Option(help="Verdicts that end with status 1, with commas.")]
_Json = Annotated[Path | None, typer.Option(help="Write the report here; - prints it.")]


@app.command(
    epilog=show_examples(
        "limpet audit https://192.0.2.7 --product examples/thermostat",
        "limpet audit https://127.0.0.1:8443 --device-root root.pem --token-file token",
    )
)
def run(
    targets: _Targets,
    product: _Product = None,
    device: _DeviceDir = None,
    device_root: _DeviceRoot = None,
    fresh: _Fresh = None,
    token_file: _Token = None,
    owner_store: _OwnerStore = None,
    account: _Account = "owner",
    label_uri: _LabelUri = None,
    label: _LabelFile = None,
    vendor_url: _VendorUrl = None,
    service_root: _ServiceRoot = None,
    vendor: _VendorDir = None,
    resolve: _Resolve = None,
    only: _Only = "",
    fail_on: _FailOn = "fail",
    json: _Json = None,
) -> None:
    """Attack a running device; print each of the 65 statements with verdict and evidence.

    Ends with 0 if no statement failed, 1 if any did, 3 if the device could not be looked at.
    """
    led, refusing = tuple(resolve or ()), _verdicts(fail_on)
    checks = load_checks(tuple(name.strip() for name in only.split(",") if name.strip()))
    record = Store(owner_store).choose(None) if owner_store is not None else None
    target = Target(
        device=parse_endpoint(targets[0], led),
        siblings=tuple(parse_endpoint(url, led) for url in targets[1:]),
        fresh=parse_endpoint(fresh, led) if fresh else None,
        device_root_pem=_read(device_root) or (record.root_pem.encode() if record else None),
        token=_secret(token_file) or (record.token or None if record else None),
        account=record.name if record and record.name else account,
        label=_label(label_uri),
        label_path=label,
        device_dir=_directory(device),
        product_dir=product,
        vendor=parse_endpoint(vendor_url, led) if vendor_url else None,
        service_root_pem=_read(service_root),
        vendor_dir=_directory(vendor),
        now=lambda: datetime.now(UTC),
    )
    report = _run(checks, target)
    _show_or_write(report, json)
    status = report.exit_code(refusing)
    if status == 0 and target.device is not None:
        _verify_reachable(target.device)  # documents alone are no sound device
    raise typer.Exit(status)


def show_report(report: Report, console: Console | None = None) -> None:
    """Print the statements grouped by section, then the totals."""
    if console is None:
        width = None if sys.stdout.isatty() else PIPE_COLUMNS
        console = Console(width=width)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("statement", no_wrap=True)
    table.add_column("level", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("evidence")
    for section, entries in groupby(report.entries, key=lambda entry: entry.section):
        table.add_row(Text(f"section {section}", style="bold"))
        for entry in entries:
            word = Text(entry.verdict.value, style=STYLES[entry.verdict])
            evidence = Text("".join(c if c.isprintable() else "?" for c in entry.evidence))
            table.add_row(f"  {entry.statement}", entry.level, word, evidence)
    console.print(table)
    totals = Text(f"{report.target}: {len(report.entries)} statements in {report.seconds:.1f} s: ")
    parts = [(v, n) for v, n in report.totals.items() if n]
    for number, (verdict, count) in enumerate(parts):
        totals.append(", " if number else "")
        totals.append(f"{count} {verdict.value}", style=STYLES[verdict])
    console.print(totals)


def _show_or_write(report: Report, json: Path | None) -> None:
    if json is None or str(json) != "-":
        show_report(report)
    else:
        sys.stdout.write(encode_report(report).decode())
    if json is not None and str(json) != "-":
        write_atomic(json, encode_report(report), mode=0o644)


def _verify_reachable(endpoint: Endpoint) -> None:
    """Raise `Unavailable` if nothing answers there."""
    try:
        socket.create_connection(endpoint.peer, timeout=REACH_SECONDS).close()
    except OSError as error:
        raise Unavailable(
            f"nothing answers at {endpoint}: {(error.strerror or str(error)).lower()}",
            hint="is the device switched on, and is the address right?",
        ) from error


def _run(checks: Sequence[Check], target: Target) -> Report:
    statements = {one.id: one for one in load_statements()}
    with progress("audit", total=len(checks)) as account:

        def tell(check: Check, finding: Finding) -> None:
            account.advance(note=f"{check.statement} {finding.verdict.value}")

        return audit(checks, target, statements=statements, on_finding=tell)


def _verdicts(text: str) -> frozenset[Verdict]:
    known = {verdict.value: verdict for verdict in Verdict}
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown:
        print(
            f"limpet: error: {unknown[0]!r} is no verdict\n  hint: one of {', '.join(known)}",
            file=sys.stderr,
        )
        raise typer.Exit(EXIT_USAGE)
    return frozenset(known[name] for name in names)


def _read(path: Path | None) -> bytes | None:
    return read_bounded(path, max_bytes=MAX_INPUT) if path is not None else None


def _secret(path: Path | None) -> str | None:
    data = _read(path)
    if data is None:
        return None
    try:
        text = data.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise Rejected("bad-token", f"{path} holds no token") from error
    if not text or any(c.isspace() for c in text):
        raise Rejected("bad-token", f"{path} holds no token", hint="one line, the token alone")
    return text


def _label(text: str | None) -> str | None:
    if text is None or not text.startswith("@"):
        return text
    return _secret(Path(text[1:]))


def _directory(path: Path | None) -> Path | None:
    if path is not None and not path.is_dir():
        raise Rejected("no-directory", f"{path} is not a directory")
    return path
