"""`limpet release check`: the gate, for a person at a terminal and for a program.

Owns options and printing. Decides nothing: `limpet.release.gate` does.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from limpet.cli._frame import PIPE_COLUMNS, progress, show_examples
from limpet.errors import Unavailable
from limpet.release import load_built, verify_anchors
from limpet.release.gate import (
    RULES,
    Fault,
    Judgement,
    Report,
    Verdict,
    load_gate_key,
    open_subject,
    record_report,
    render_sarif,
    run_gate,
)
from limpet.storage import write_atomic
from limpet.wire.codec import encode_json

__all__ = ["add_commands"]

_STYLES = {
    Verdict.PASSED: "green",
    Verdict.REFUSED: "bold red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.NOT_APPLICABLE: "dim",
}
_NOT = {Verdict.REFUSED: "not so", Verdict.INCONCLUSIVE: "not known"}
"""Before what would hold if the rule passed."""
_PAD = 16  # columns before a rule's name, and before what it says
_NARROWEST = 24  # columns of text, on however small a terminal
_SHOWN = 12
"""Faults of one rule that the table shows; --json has all."""

_VENDOR = typer.Option(
    None, "--vendor", help="Its directory: repository, root of trust and the gate's key."
)
_REPOSITORY = typer.Option(
    None, "--repository", help="public/repository with the releases before it."
)
_ROOT = typer.Option(
    None, "--root", help="The root of trust; trust/root.json of the vendor by default."
)
_KEY = typer.Option(
    None, "--key", help="The gate's key, which signs what it found into the release."
)
_ADVISORIES = typer.Option(None, "--advisories", help="The store that `release advisories` filled.")
_AGE = typer.Option(
    7.0, min=0.0, max=365.0, help="Days: data on vulnerabilities older than this is stale."
)
_TESTS = typer.Option(None, "--tests", help="JUnit result of the product's own tests.")
_SARIF = typer.Option(None, "--sarif", help="Also write SARIF 2.1.0, for code hosts and editors.")


def add_commands(app: typer.Typer) -> None:
    """Hang the gate's command below `limpet release`."""
    app.command(
        epilog=show_examples(
            "limpet release check examples/thermostat --release out --vendor vendor"
            " --advisories advisories.sqlite --tests junit.xml",
        )
    )(check)


def check(
    product: Path = typer.Argument(..., help="The product's directory."),
    release: Path = typer.Option(..., "--release", help="The release that was built from it."),
    vendor: Path | None = _VENDOR,
    repository: Path | None = _REPOSITORY,
    root: Path | None = _ROOT,
    key: Path | None = _KEY,
    advisories: Path | None = _ADVISORIES,
    advisories_age: float = _AGE,
    tests: Path | None = _TESTS,
    sarif: Path | None = _SARIF,
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """May this release be signed? Status 0: yes, 1: no, 3: something could not be looked at."""
    if vendor is not None:
        repository = repository or vendor / "public" / "repository"
        key = key or _gate_key(vendor)
        built = load_built(release)
        verify_anchors(  # before anybody is asked to sign: `publish` would refuse it in the end
            built.manifest.image,
            built.image,
            trust=vendor / "trust",
            metadata=repository / "metadata",
        )
    signer = load_gate_key(key) if key is not None else None
    subject_opened = open_subject(
        product,
        release,
        now=datetime.now(UTC).replace(microsecond=0),
        repository=repository,
        root=_root(repository, root),
        advisories=advisories,
        advisories_age=timedelta(days=advisories_age),
        tests=tests,
    )
    with progress("checking", total=len(RULES)) as shown, subject_opened as subject:
        report = run_gate(subject, RULES, lambda title: shown.advance(note=title))
    record_report(release, report, signer)
    if sarif is not None:
        write_atomic(sarif, render_sarif(report), mode=0o644)
    if json:
        plain = msgspec.to_builtins(report)
        plain["verdict"], plain["totals"] = report.verdict, report.totals
        print(msgspec.json.format(encode_json(plain), indent=2).decode())
    else:
        _print_report(report)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _gate_key(vendor: Path) -> Path:
    key = vendor / "gate" / "gate.pem"
    if not key.is_file():
        raise Unavailable(
            f"there is no {key}",
            hint="limpet vendor init makes a vendor's directory; without one: --repository, --root",
        )
    return key


def _root(repository: Path | None, root: Path | None) -> Path | None:
    if repository is None or root is not None:
        return root
    found = repository.parent.parent / "trust" / "root.json"
    if not found.is_file():
        raise Unavailable(f"there is no {found}", hint="name the root of trust: --root FILE")
    return found


def _print_report(report: Report) -> None:
    terminal = sys.stdout.isatty()
    console = Console(highlight=False, width=None if terminal else PIPE_COLUMNS)
    console.print(f"{report.model} {report.version}  manifest {report.manifest_sha256[:16]}…\n")
    width = max((len(one.rule) for one in report.judgements), default=0)
    for judgement in report.judgements:
        _print_judgement(console, judgement, width)
    totals = ", ".join(f"{count} {name}" for name, count in report.totals.items() if count)
    noted = sum(len(one.finding.notes) for one in report.judgements)
    console.print(
        Text.assemble("\n", (report.verdict.upper(), _STYLES[report.verdict]), f": {totals}")
    )
    if noted:
        console.print(f"{noted} noted: mend that before a customer gets a device")


def _print_judgement(console: Console, judgement: Judgement, width: int) -> None:
    finding = judgement.finding
    head = Text.assemble(
        (f"{finding.verdict:<{_PAD}}", _STYLES[finding.verdict]), f"{judgement.rule:<{width}}  "
    )
    seen = "; ".join(finding.evidence)
    if finding.faults:
        _print_hanging(console, head, Text(f"{_NOT[finding.verdict]}: {judgement.title}"))
        if seen:
            _print_below(console, f"looked at: {seen}", style="dim")
    else:
        _print_hanging(console, head, Text(seen, style="dim"))
    for fault in finding.faults[:_SHOWN]:
        _print_below(console, f"{_place(fault)}{fault.text}")
        if fault.hint:
            _print_below(console, f"  hint: {fault.hint}", style="dim")
    if len(finding.faults) > _SHOWN:
        _print_below(console, f"and {len(finding.faults) - _SHOWN} more, see --json")
    if finding.faults and not all(fault.hint for fault in finding.faults):
        _print_below(console, f"hint: {judgement.hint}", style="dim")
    for text in finding.listed:
        _print_below(console, f"listed: {text}")
    for note in finding.notes:
        _print_below(console, f"note: {_place(note)}{note.text}", style="yellow")


def _place(fault: Fault) -> str:
    return f"{fault.file}:{fault.line}: " if fault.line else f"{fault.file}: " * bool(fault.file)


def _print_below(console: Console, text: str, *, style: str = "") -> None:
    _print_hanging(console, Text(" " * _PAD), Text(text, style=style))


def _print_hanging(console: Console, head: Text, body: Text) -> None:
    """`body` beside `head`, and further lines of it below its own beginning."""
    room = console.width - head.cell_len
    lines = body.wrap(console, max(room, _NARROWEST)) or [Text()]
    for number, line in enumerate(lines):
        console.print(
            Text.assemble(head if not number else " " * head.cell_len, line), soft_wrap=True
        )
