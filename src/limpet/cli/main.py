"""The commands of `limpet`, and the one entry point.

Owns the table of commands. Loads the module of the command that was asked for and
no other, so that `limpet requirements` starts without a web framework or a TUF
client. Must never do a command's work.
"""

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from typing import NamedTuple

import typer

from limpet import __version__
from limpet.cli._frame import guard, make_app
from limpet.errors import Unavailable

__all__ = ["COMMANDS", "CommandSpec", "build_app", "main", "run"]


class CommandSpec(NamedTuple):
    """One command: its name, which is also its module in `limpet.cli`, and its line of help."""

    name: str
    summary: str

    @property
    def module(self) -> str:
        """Where the command's `app` (a `typer.Typer`) lives."""
        return f"limpet.cli.{self.name}"


COMMANDS = (
    CommandSpec("demo", "The whole life of a device on this machine, with real processes."),
    CommandSpec("requirements", "The 65 statements, and what in limpet answers each."),
    CommandSpec("new", "Make a new product that meets the baseline as it stands."),
    CommandSpec("product", "Check and show a product's design file."),
    CommandSpec("advisory", "Write and publish a product's own security advisories."),
    CommandSpec("vendor", "Set up and run the vendor's services."),
    CommandSpec("factory", "Make devices with their own keys, credentials and labels."),
    CommandSpec("device", "Run a device on this machine."),
    CommandSpec("release", "Build, check, sign and publish firmware."),
    CommandSpec("rollout", "Phase a release in; pause, resume or withdraw it."),
    CommandSpec("owner", "Claim a device, use it, decide when it updates."),
    CommandSpec("audit", "Attack a running device and report statement by statement."),
)


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """The application for `arguments`: the command they name in full, the others as a line of help.

    A command whose module is not installed is not listed.
    """
    app = make_app(
        "limpet: a secure-by-default platform for Internet-connected devices.",
        examples=["limpet requirements show R2.2.3a"],
        bare=True,
    )
    app.callback()(_root)
    wanted = next((word for word in arguments if not word.startswith("-")), "")
    for spec in COMMANDS:
        if importlib.util.find_spec(spec.module) is None:
            continue
        if spec.name == wanted:
            _add_loaded(app, spec)
        else:
            app.command(spec.name, help=spec.summary)(_not_loaded)
    return app


def _add_loaded(app: typer.Typer, spec: CommandSpec) -> None:
    """Load the command's module into `app`; a lone command needs no second word."""
    try:
        loaded: typer.Typer = importlib.import_module(spec.module).app
    except ModuleNotFoundError as error:
        if (error.name or "limpet").partition(".")[0] == "limpet":
            raise
        raise Unavailable(
            f"`limpet {spec.name}` needs the package {error.name}, which is not installed",
            hint="pip install 'limpet[all]', or run it through ./run",
        ) from error
    alone = len(loaded.registered_commands) == 1 and not loaded.registered_groups
    if alone and loaded.registered_callback is None:
        only = loaded.registered_commands[0]
        only.name = spec.name
        app.registered_commands.append(only)
    else:
        app.add_typer(loaded, name=spec.name)


def _not_loaded() -> None:
    """Stand in for a command in the list; one that is invoked has been loaded instead."""


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"limpet {__version__}")
        raise typer.Exit


def _root(
    ctx: typer.Context,
    version: bool = typer.Option(
        False, "--version", help="Show the version.", callback=_show_version, is_eager=True
    ),
) -> None:
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def run(arguments: Sequence[str]) -> int:
    """Run `limpet` with `arguments` in this process; return the exit status. Never raises."""
    return guard(lambda: build_app(arguments)(args=list(arguments), prog_name="limpet"))


def main() -> int:
    """The process's entry point: run what its own command line says; return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets an escape, not a traceback.
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    return run(sys.argv[1:])
