"""`limpet product`: judge and show a product's design file, and what is made from it.

Owns the printing of `limpet.product`, and tells its rules what no file can say:
the statements, the date, and which code there is. Decides nothing itself.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import typer

from limpet.cli import _product_test
from limpet.cli._frame import emit, make_app, show_examples
from limpet.cli._product_egress import add_commands
from limpet.cli._product_parts import DIRECTORY, JSON, find_product_file
from limpet.product import (
    Context,
    Problem,
    Product,
    Severity,
    load_product,
    read_notes,
    read_problems,
)
from limpet.source import design_context

__all__ = ["app"]

app = make_app(
    "Check and show a product's design file, and make network policies from it.",
    examples=[
        "limpet product check examples/thermostat",
        "limpet product show examples/thermostat",
        "limpet product mud examples/thermostat",
    ],
)


class _Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What `check` found, as `--json` gives it."""

    file: str
    ok: bool
    interfaces: int
    threats: int
    measures: int
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]  # stop nothing; to be mended before a customer gets a device


@app.command(epilog=show_examples("limpet product check examples/thermostat"))
def check(directory: Path = DIRECTORY, json: bool = JSON) -> None:
    """Judge a design file: each problem with its line; status 1 if one is an error."""
    path = find_product_file(directory)
    context = _context(path.parent)
    problems = read_problems(path, context=context)
    ok = all(problem.severity is Severity.WARNING for problem in problems)
    product = load_product(path, context=context) if ok else None
    verdict = _Verdict(
        file=str(path),
        ok=ok,
        interfaces=len(product.interfaces) if product else 0,
        threats=len(product.threats) if product else 0,
        measures=len(product.measures) if product else 0,
        problems=problems,
        notes=read_notes(path) if product else (),
    )
    emit(verdict, json=json, human=_print_verdict)
    if not ok:
        raise typer.Exit(1)


@app.command(epilog=show_examples("limpet product show examples/thermostat"))
def show(directory: Path = DIRECTORY, json: bool = JSON) -> None:
    """A design file in short: what the product is, its ways in and out, threats and answers."""
    emit(load_product(find_product_file(directory)), json=json, human=_print_product)


add_commands(app)
_product_test.add_command(app)


def _context(directory: Path) -> Context:
    return design_context(directory, today=datetime.now(UTC).date())


def _print_verdict(verdict: _Verdict) -> None:
    for problem in verdict.problems:
        print(problem.text(verdict.file))
        if problem.hint:
            print(f"  hint: {problem.hint}")
    for note in verdict.notes:
        print(note.text(verdict.file))
    for hint in sorted({note.hint for note in verdict.notes}):
        print(f"  hint: {hint}")
    if verdict.ok:
        warnings, notes = len(verdict.problems), len(verdict.notes)
        print(
            f"{verdict.file}: {verdict.interfaces} interfaces, {verdict.threats} threats,"
            f" {verdict.measures} measures: "
            + (f"{warnings} {_plural('warning', warnings)}" if warnings else "no problem")
            + (f", {notes} {_plural('note', notes)}" if notes else "")
        )
    else:
        count = len(verdict.problems)
        print(f"{verdict.file}: {count} {_plural('problem', count)}")


def _print_product(product: Product) -> None:
    model = product.model
    print(f"{product.maker.name} {model.display_name} (model {model.name})")
    print(f"  hardware revisions  {', '.join(model.hardware_revisions)}")
    print(f"  support             until {product.support.until}, then {product.support.after}")
    print(f"  security contact    {', '.join(product.security_contact.contacts)}")
    print(f"  updates             {_update_line(product)}")
    print(f"  calls               {', '.join(product.vendor.hosts) or 'nobody'}")
    _print_section(
        "interfaces",
        [
            (
                interface.id,
                f"{interface.direction}, {interface.protocol}"
                + (f", {interface.transport} {interface.port}" if interface.port else ""),
            )
            for interface in product.interfaces
        ],
    )
    _print_section(
        "threats", [(threat.id, _answer(product, threat.id)) for threat in product.threats]
    )
    _print_section(
        "measures",
        [
            (measure.id, f"{', '.join(measure.statements)}; {', '.join(measure.code)}")
            for measure in product.measures
        ],
    )


def _answer(product: Product, threat_id: str) -> str:
    threat = next(threat for threat in product.threats if threat.id == threat_id)
    parts = [", ".join(threat.measures)] if threat.measures else []
    if threat.acceptance is not None:
        review = threat.acceptance.review_by
        parts.append(f"accepted by the {threat.acceptance.owner}, review by {review}")
    return "; ".join(parts)


def _update_line(product: Product) -> str:
    update = product.update
    window = update.default_window
    when = f"{window.start} to {window.end}" if window else "at any time"
    how = "automatic" if update.automatic else "on the owner's word"
    return f"{how}, {when}, checked about every {update.check_interval_seconds} s"


def _print_section(title: str, rows: Sequence[tuple[str, str]]) -> None:
    print(f"\n{title}")
    width = max((len(name) for name, _ in rows), default=0)
    for name, words in rows:
        print(f"  {name:<{width}}  {words}")


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
