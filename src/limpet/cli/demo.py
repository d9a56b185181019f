"""`limpet demo`: the whole life of a device on this machine, with real processes."""

import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from limpet.cli._frame import PIPE_COLUMNS, make_app, show_examples
from limpet.errors import Unavailable
from limpet.requirements import find_source_tree

__all__ = ["app"]

app = make_app("The whole life of a device on this machine, with real processes.")


@app.command(epilog=show_examples("limpet demo --devices 8 --json demo.json --keep demo"))
def demo(
    devices: Annotated[int, typer.Option(min=3, max=50, help="How many devices to make.")] = 4,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every step and verdict here.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Work in this new directory and keep it.")
    ] = None,
) -> None:
    """Make, claim, use, attack, update, break and audit devices. Ends with 0 if all went as told.

    Everything runs on loopback and in one directory; nothing is left behind. Ctrl-C ends it.
    """
    from rich.console import Console

    from limpet.demo.performance import perform

    source = _product()
    if json is not None and not json.absolute().parent.is_dir():
        raise Unavailable(
            f"there is no directory {json.parent} for {json.name}", hint="make it first"
        )
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS)
    with ExitStack() as stack:
        directory = _directory(keep, stack)
        performance = perform(console, source=source, directory=directory, devices=devices)
        if json is not None:
            performance.write(json)
        if keep is not None:
            typer.echo(f"kept in {keep}")
    raise typer.Exit(0 if performance.ok else 1)


def _product() -> Path:
    root = find_source_tree()
    if root is None:
        raise Unavailable("the demo needs the repository", hint="git clone it, then ./run demo")
    return root / "examples" / "thermostat"


def _directory(keep: Path | None, stack: ExitStack) -> Path:
    if keep is None:
        made = tempfile.TemporaryDirectory(prefix="limpet-demo-", ignore_cleanup_errors=True)
        return Path(stack.enter_context(made))
    try:
        keep.mkdir(parents=True)
    except FileExistsError:
        raise Unavailable(f"{keep} exists", hint="name a new directory") from None
    except OSError as error:
        raise Unavailable(f"cannot make {keep}: {error.strerror}") from error
    return keep.absolute()


def _interrupt(*_: object) -> None:
    """End as on Ctrl-C, so that no process is left behind."""
    raise KeyboardInterrupt
