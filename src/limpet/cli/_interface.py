"""`limpet release check-interface`: what a release changes for whoever uses the one before.

Owns arguments and printing; `limpet.firmware.interface` has the rules.
"""

from collections.abc import Sequence
from pathlib import Path

import typer

from limpet.cli._frame import emit
from limpet.firmware.interface import Change
from limpet.release import compare_releases, load_manifest

__all__ = ["EXAMPLE", "check_interface"]

EXAMPLE = "limpet release check-interface out-1.0.0 out"


def check_interface(
    old: Path = typer.Argument(..., help="A built release, or its manifest.json."),
    new: Path = typer.Argument(..., help="The one that follows it, likewise."),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """What NEW changes for whoever uses OLD; exit 1 if it breaks something and does not say so."""
    before, after = load_manifest(old), load_manifest(new)
    changes = compare_releases(before, after)
    told = [{"change": one.text, "breaking": one.breaking} for one in changes]
    emit(told, json=json, human=lambda _: _print(changes))
    silent = before.interface_version == after.interface_version
    if silent and any(one.breaking for one in changes):
        raise typer.Exit(1)


def _print(changes: Sequence[Change]) -> None:
    for one in changes:
        print(f"{'breaking' if one.breaking else 'fine':<9} {one.text}")
    if not changes:
        print("nothing changes")
