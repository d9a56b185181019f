"""`limpet new NAME`: a product's directory that meets the baseline as it stands.

Owns parsing and printing; `limpet.scaffold` does the work.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from limpet.cli._frame import emit, make_app, show_examples
from limpet.scaffold import NewProduct, Template, create_product

__all__ = ["app"]

app = make_app("Make a new product.", examples=["limpet new garden-pump --template switch"])


class _Made(msgspec.Struct, frozen=True, kw_only=True):
    """What was made, as `--json` gives it."""

    directory: str
    template: str


@app.command(epilog=show_examples("limpet new garden-pump --template switch"))
def new(
    name: Annotated[str, typer.Argument(help="Of the model, and of the new directory.")],
    template: Annotated[
        Template, typer.Option("--template", help="What it starts as.")
    ] = Template.SENSOR,
    into: Annotated[
        Path, typer.Option("--into", metavar="DIR", help="Where the directory is made.")
    ] = Path("."),
    maker: Annotated[str, typer.Option("--maker", help="Who makes it.")] = "Example Maker",
    vendor_host: Annotated[
        str, typer.Option("--vendor-host", help="The host of the vendor's services.")
    ] = "vendor.example.com",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a product: design file with threats and measures, function, tests, README."""
    order = NewProduct(
        name=name,
        template=template,
        today=datetime.now(UTC).date(),
        maker=maker,
        vendor_host=vendor_host,
    )
    made = _Made(directory=str(create_product(order, into)), template=template.value)
    emit(made, json=json, human=_print)


def _print(made: _Made) -> None:
    print(f"{made.directory} is made")
    print(f"  judge its design   limpet product check {made.directory}")
    print(f"  run its tests      {Path(sys.executable).with_name('pytest')} {made.directory}/tests")
    print(f"  read on            {made.directory}/README.md")
