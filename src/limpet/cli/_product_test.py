"""`limpet product test`: the product's own tests on one commit, written down for the gate.

Owns options and printing; `limpet.release.testing` runs them, and is half of what `limpet product`
would load, so that only this command does.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import typer

from limpet.cli._frame import emit, show_examples
from limpet.cli._product_parts import DIRECTORY, JSON, find_product_file

if TYPE_CHECKING:
    from limpet.release.testing import Ran

__all__ = ["add_command"]

SECONDS = 3600.0


class _Tested(msgspec.Struct, frozen=True, kw_only=True):
    """What ran, as `--json` gives it."""

    out: str
    commit: str
    clean: bool
    passed: int
    failed: int
    skipped: int
    failures: tuple[str, ...]


def add_command(app: typer.Typer) -> None:
    """Make it a command of `app`."""
    example = "limpet product test examples/thermostat --out junit.xml"
    app.command(name="test", epilog=show_examples(example))(run)


def run(
    directory: Path = DIRECTORY,
    out: Path = typer.Option(..., "--out", help="The result's file, JUnit."),
    seconds: float = typer.Option(SECONDS, min=1.0, help="How long they may take."),
    json: bool = JSON,
) -> None:
    """Run the tests of a product, and write which commit they ran on; status 1 if one fails."""
    from limpet.release.testing import run_tests

    product = find_product_file(directory).parent
    ran = run_tests(product, out, seconds=seconds)
    told = _tell(ran, out)
    emit(told, json=json, human=_print)
    if told.failed or not told.passed or ran.status:
        raise typer.Exit(1)


def _tell(ran: "Ran", out: Path) -> _Tested:
    from limpet.release.testing import Outcome

    cases = ran.result.cases
    broken = [one for one in cases if one.outcome in (Outcome.FAILED, Outcome.ERROR)]
    return _Tested(
        out=str(out),
        commit=ran.commit,
        clean=ran.is_clean,
        passed=sum(1 for one in cases if one.outcome is Outcome.PASSED),
        failed=len(broken),
        skipped=sum(1 for one in cases if one.outcome is Outcome.SKIPPED),
        failures=tuple(one.id for one in broken),
    )


def _print(told: _Tested) -> None:
    state = "" if told.clean else ", with changes that are in no commit: no release may use it"
    print(f"{told.passed} passed, {told.failed} failed, {told.skipped} left out")
    print(f"commit {told.commit}{state}")
    print(f"{told.out}")
