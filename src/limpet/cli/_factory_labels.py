"""`limpet factory sheet`: the labels of many devices on sheets for an office printer.

Owns options and printing.
"""

from pathlib import Path

import msgspec
import typer

from limpet.cli._frame import emit, progress, show_examples
from limpet.errors import Rejected
from limpet.storage import write_atomic

__all__ = ["add_commands"]


class _Sheets(msgspec.Struct, frozen=True, kw_only=True):
    """What was composed, as `--json` gives it."""

    file: str
    labels: int
    sheets: int
    columns: int
    rows: int


def add_commands(app: typer.Typer) -> None:
    """Hang the command below `limpet factory`."""
    app.command(epilog=show_examples("limpet factory sheet devices/labels --out sheets.pdf"))(sheet)


def sheet(
    labels: Path = typer.Argument(..., help="`labels` of what `factory make --out` filled."),
    out: Path = typer.Option(..., "--out", help="The PDF to write, readable by you alone."),
    paper: str = typer.Option("a4", "--paper", help="a4, letter, or WIDTHxHEIGHT in mm."),
    margin: float = typer.Option(8.0, min=0.0, help="White at the edges, in mm."),
    gap: float = typer.Option(2.0, min=0.0, help="Between labels, in mm; marks lie in it."),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Put labels on sheets, in true size, with marks to cut along. Print without scaling."""
    from limpet.vendor.factory.sheets import Paper, compose_sheets, load_labels

    width, height = _size(paper)
    chosen = Paper(width, height, margin, gap)
    with progress("composing"):
        found = load_labels(labels)
        write_atomic(out, compose_sheets(found, chosen))  # claim codes: mode 0600
    each = chosen.columns * chosen.rows
    made = _Sheets(
        file=str(out),
        labels=len(found),
        sheets=-(-len(found) // each),
        columns=chosen.columns,
        rows=chosen.rows,
    )
    emit(made, json=json, human=_print)


def _size(paper: str) -> tuple[float, float]:
    from limpet.vendor.factory.sheets import PAPERS

    if paper in PAPERS:
        return PAPERS[paper]
    width, _, height = paper.partition("x")
    try:
        sides = float(width), float(height)
    except ValueError:
        sides = (0.0, 0.0)
    if not all(20 <= side <= 2000 for side in sides):
        known = ", ".join(PAPERS)
        raise Rejected(
            "paper", f"{paper[:40]!r} is no paper", hint=f"{known}, or as 100x150 (in mm, from 20)"
        )
    return sides


def _print(made: _Sheets) -> None:
    print(
        f"{made.file}: {made.labels} label{'s' * (made.labels != 1)}"
        f" on {made.sheets} sheet{'s' * (made.sheets != 1)},"
        f" {made.columns} x {made.rows} a sheet; print it at 100 %, then destroy it"
    )
