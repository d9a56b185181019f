"""What the audience sees: scenes as they run, the fleet while it updates, verdicts at the end.

Prints with Rich; on a terminal the fleet is redrawn in place, elsewhere only
its changes are printed, a line each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from limpet.demo.story import Outcome

__all__ = ["DeviceRow", "FleetView", "Screen", "print_verdicts"]

_STATE_STYLE = {
    "confirmed": "green",
    "running": "green",
    "held": "yellow",
    "attempt": "cyan",
    "installed": "cyan",
    "fell-back": "red",
    "refused": "red",
}
_VERDICT_STYLE = {"pass": "green", "fail": "bold red", "attested": "cyan", "not yet": "yellow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """One device as the vendor knows it from its reports."""

    serial: str
    version: str
    slot: str
    state: str
    reason: str
    detail: str


def _indented(mark: tuple[str, str], text: str) -> Padding:
    return Padding(Text.assemble(mark, text), (0, 0, 0, 4))


class Screen:
    """The audience at a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def open(self, scenes: int, directory: Path) -> None:
        """The story is about to begin."""
        self.console.print(
            f"The life of a product in {scenes} scenes: real processes, keys and attacks, on this"
            f" machine alone, in {directory}.",
            highlight=False,
            markup=False,
        )

    def begin(self, number: int, title: str) -> None:
        """A scene begins."""
        self.console.print(f"\n[bold]{number:>2}. {escape(title)}[/bold]", highlight=False)

    def command(self, line: str) -> None:
        """A command is given."""
        self.console.print(f"    [dim]$ {escape(line)}[/dim]", soft_wrap=True, highlight=False)

    def fact(self, text: str) -> None:
        """Something was done and seen."""
        self.console.print(_indented(("✓ ", "green"), text))

    def end(self, outcome: Outcome) -> None:
        """A scene is over."""
        if outcome.ok:
            self.console.print(f"      [dim]{outcome.seconds:.1f} s[/dim]", highlight=False)
        else:
            self.console.print(_indented(("✗ ", "red"), outcome.error))

    def close(self, ok: bool, scenes: int, seconds: float) -> None:
        """The story is over."""
        if ok:
            told = f"[bold green]Every one of {scenes} scenes did what it says[/]"
        else:
            told = f"[bold red]The story broke off in scene {scenes}[/]"
        self.console.print(f"\n{told}, in {seconds:.0f} s; no process is left.", highlight=False)


class FleetView:
    """The fleet during a rollout; a context manager."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._shown: dict[str, DeviceRow] = {}
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> "FleetView":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, rows: Sequence[DeviceRow], plan: str) -> None:
        """Draw the fleet as it is now; `plan` says where the rollout stands."""
        if self._live:
            self._live.update(self._table(rows, plan), refresh=True)
            return
        for row in rows:
            if self._shown.get(row.serial) != row:
                self._shown[row.serial] = row
                self._console.print(
                    f"      {row.serial}  {row.version:<7} slot {row.slot}  {row.state:<9}"
                    f"  {row.detail}",
                    markup=False,
                    highlight=False,
                )

    def _table(self, rows: Sequence[DeviceRow], plan: str) -> Table:
        table = Table(title=f"{self._title}: {plan}", title_justify="left", pad_edge=True)
        for column in ("device", "version", "slot", "state", "what it says"):
            table.add_column(column)
        for row in rows:
            style = _STATE_STYLE.get(row.state, "")
            state = f"[{style}]{row.state}[/]" if style else row.state
            table.add_row(row.serial, row.version, row.slot, state, escape(row.detail[:60]))
        return table


def print_verdicts(console: Console, report: Any) -> None:
    """The audit's statements, each with verdict and evidence."""
    table = Table(title="The 65 statements", title_justify="left", box=None, pad_edge=False)
    for column in ("statement", "level", "verdict", "evidence"):
        table.add_column(column, no_wrap=column != "evidence")
    for entry in report["entries"]:
        verdict = entry["verdict"]
        style = _VERDICT_STYLE.get(verdict, "dim")
        evidence = escape(entry["evidence"])
        table.add_row(entry["statement"], entry["level"], f"[{style}]{verdict}[/]", evidence)
    console.print()
    console.print(table, highlight=False)
