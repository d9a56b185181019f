"""What every command shares: the error boundary, output for people and for programs, progress.

Owns the rule that a failure reaches a person as one clear line and a program as an
exit status. Must never print a traceback unasked, nor the message of an exception
that nobody foresaw: it may hold a secret.
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import typer

from limpet.errors import LimpetError, Misuse, Unavailable
from limpet.storage import advice_for

__all__ = [
    "EXIT_INTERNAL",
    "EXIT_INTERRUPTED",
    "EXIT_USAGE",
    "PIPE_COLUMNS",
    "Progress",
    "emit",
    "guard",
    "make_app",
    "print_table",
    "progress",
    "show_examples",
]

T = TypeVar("T")

EXIT_USAGE = 2  # wrong arguments; Typer's own
EXIT_INTERNAL = 70  # EX_SOFTWARE of sysexits.h
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE: whoever read our output went away
DEBUG_VARIABLE = "LIMPET_DEBUG"
PIPE_COLUMNS = 240
"""Width of a table that goes into a file or a pipe: one row, one line."""


def make_app(summary: str, *, examples: Sequence[str] = (), bare: bool = False) -> typer.Typer:
    """A command group in the house's manner: `summary` and `examples` are its help.

    With `bare`, the group's callback also runs when no command follows (give it
    `ctx: typer.Context` and look at `ctx.invoked_subcommand`); without, help is shown.
    """
    return typer.Typer(
        help=summary,
        epilog=show_examples(*examples) or None,
        no_args_is_help=not bare,
        invoke_without_command=bare,
        add_completion=False,
        pretty_exceptions_enable=False,
    )


def show_examples(*examples: str) -> str:
    """The epilog of a command's help: one example a line."""
    return "\n\n".join([f"Example: {example}" for example in examples])


def guard(command: Callable[[], object], *, debug: bool | None = None) -> int:
    """Run `command`; return the exit status, having said on standard error what went wrong.

    Foreseen errors print "limpet: error: …" and a hint, and give their class's
    `exit_code`; an error of the operating system counts as `Unavailable`; Ctrl-C gives
    130; a reader that went away is no error worth a word. Anything else is a bug of
    ours: one line, status 70, and a traceback if LIMPET_DEBUG=1 (`debug` overrides it).
    """
    wanted = os.environ.get(DEBUG_VARIABLE) == "1" if debug is None else debug
    try:
        status = _exit_status(command)
    except KeyboardInterrupt:
        status = EXIT_INTERRUPTED
    except BrokenPipeError:
        status = EXIT_BROKEN_PIPE
    except LimpetError as error:
        status = _report(error, debug=wanted)
    except OSError as error:
        status = _report(_environment(error), debug=wanted)
    except Exception as error:
        status = _report_bug(error, debug=wanted)
    return _flush_output(debug=wanted) or status


def _exit_status(command: Callable[[], object]) -> int:
    try:
        command()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        raise Misuse(f"ended with {end.code!r} for an exit status") from end
    return 0


def _report(error: LimpetError, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    # A message may quote a peer: no line of it can pose as one of ours, or drive the terminal.
    print("limpet: error:", _printable(error.message, "\n  "), file=sys.stderr)
    if error.hint:
        print("  hint:", _printable(error.hint, "\n  "), file=sys.stderr)
    return error.exit_code


def _report_bug(error: Exception, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    advice = "see above" if debug else f"run it again with {DEBUG_VARIABLE}=1 for the traceback"
    print(f"limpet: internal error: {type(error).__name__}{place}; {advice}", file=sys.stderr)
    return EXIT_INTERNAL


def _environment(error: OSError) -> Unavailable:
    what = error.strerror or type(error).__name__
    where = f": {error.filename}" if error.filename else ""
    unavailable = Unavailable(f"{what}{where}", hint=advice_for(error))
    unavailable.__cause__ = error
    return unavailable


def _printable(text: str, newline: str) -> str:
    lines = text.splitlines() or [""]
    return newline.join(
        "".join(c if c.isprintable() or c == "\t" else f"\\x{ord(c):02x}" for c in line)
        for line in lines
    )


def _flush_output(*, debug: bool) -> int:
    """Write out what is still buffered; 0, or the exit status if it cannot be written."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # The interpreter flushes again at exit, and would print a traceback: let that go nowhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        with contextlib.suppress(OSError, ValueError):
            os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        if isinstance(error, BrokenPipeError):
            return EXIT_BROKEN_PIPE
        return _report(_environment(error), debug=debug)
    return 0


def emit(value: T, *, json: bool, human: Callable[[T], object]) -> None:
    """Print a command's result: as JSON if asked to, else let `human` print it for a person.

    JSON has stable field order, two spaces, one final newline, and is all that goes to
    standard output. Raises `Misuse` if `value` holds what JSON cannot carry.
    """
    if not json:
        human(value)
        return
    try:
        packed = msgspec.json.encode(value)
    except (TypeError, msgspec.EncodeError) as error:
        raise Misuse(f"a result cannot be written as JSON: {error}") from error
    print(msgspec.json.format(packed, indent=2).decode())


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings; on a terminal the last column is cut to fit, elsewhere nothing is.

    Text is printed as it is: no markup in it has any effect.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings[:-1]:
        table.add_column(heading, no_wrap=True)
    table.add_column(headings[-1], no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(Text(_printable(cell, " ")) for cell in row))
    Console(width=None if terminal else PIPE_COLUMNS, soft_wrap=not terminal).print(table)


class Progress:
    """A running account of a command's work; `progress` makes one."""

    def __init__(self, show: Callable[[int, str], None]) -> None:
        self._show = show

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        """Count `steps` as done; a `note` (what is being done now) replaces the one before."""
        self._show(steps, note)

    def note(self, text: str) -> None:
        """Show what is being done now."""
        self._show(0, text)


@contextlib.contextmanager
def progress(label: str, *, total: int | None = None) -> Iterator[Progress]:
    """Show on standard error that work goes on: a bar over `total` steps, or a spinner.

    Silent when standard error is not a terminal, so that logs and pipes stay clean.
    """
    if not sys.stderr.isatty():
        yield Progress(lambda steps, note: None)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as RichProgress

    counted = (BarColumn(), MofNCompleteColumn()) if total else ()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), *counted)
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as display:
        task = display.add_task(escape(label), total=total)

        def show(steps: int, note: str) -> None:
            text = escape(f"{label}: {_printable(note, ' ')}") if note else None
            display.update(task, advance=steps, description=text)

        yield Progress(show)
