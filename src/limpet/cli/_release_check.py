"""`limpet release check`: the gate, for a person at a terminal and for a program.

Owns options and printing. Decides nothing: `limpet.release.gate` does.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from limpet.cli._frame import progress, show_examples
from limpet.errors import Unavailable
from limpet.release.gate import (
    RULES,
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
        key = key or vendor / "gate" / "gate.pem"
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


def _root(repository: Path | None, root: Path | None) -> Path | None:
    if repository is None or root is not None:
        return root
    found = repository.parent.parent / "trust" / "root.json"
    if not found.is_file():
        raise Unavailable(f"there is no {found}", hint="name the root of trust: --root FILE")
    return found


def _print_report(report: Report) -> None:
    console = Console(highlight=False)
    console.print(f"{report.model} {report.version}  manifest {report.manifest_sha256[:16]}…\n")
    width = max((len(one.rule) for one in report.judgements), default=0)
    for judgement in report.judgements:
        _print_judgement(console, judgement, width)
    totals = ", ".join(f"{count} {name}" for name, count in report.totals.items() if count)
    console.print(
        Text.assemble("\n", (report.verdict.upper(), _STYLES[report.verdict]), f": {totals}")
    )


def _print_judgement(console: Console, judgement: Judgement, width: int) -> None:
    finding = judgement.finding
    line = Text.assemble(
        (f"{finding.verdict:<16}", _STYLES[finding.verdict]), f"{judgement.rule:<{width}}  "
    )
    seen, pad = "; ".join(finding.evidence), " " * 16
    if finding.faults:
        console.print(line.append(f"{_NOT[finding.verdict]}: {judgement.title}"))
        if seen:
            console.print(Text(f"{pad}looked at: {seen}", style="dim"))
    else:
        console.print(line.append(seen, style="dim"))
    for fault in finding.faults[:_SHOWN]:
        where = (
            f"{fault.file}:{fault.line}: " if fault.line else f"{fault.file}: " * bool(fault.file)
        )
        console.print(Text(f"{pad}{where}{fault.text}"))
        if fault.hint:
            console.print(Text(f"{pad}  hint: {fault.hint}", style="dim"))
    if len(finding.faults) > _SHOWN:
        console.print(Text(f"{pad}and {len(finding.faults) - _SHOWN} more, see --json"))
    if finding.faults and not all(fault.hint for fault in finding.faults):
        console.print(Text(f"{pad}hint: {judgement.hint}", style="dim"))
    for text in finding.listed:
        console.print(Text(f"{pad}listed: {text}"))
