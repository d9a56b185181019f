"""What the commands of `limpet product` share: the directory that they are about."""

from pathlib import Path

import typer

from limpet.errors import Unavailable
from limpet.product import PRODUCT_FILE

__all__ = ["DIRECTORY", "JSON", "find_product_file"]

DIRECTORY = typer.Argument(
    Path("."), metavar="[DIR]", help="The product's directory, or its product.toml."
)
JSON = typer.Option(False, "--json", help="Print JSON.")


def find_product_file(directory: Path) -> Path:
    """The design file in `directory`, which may be the file itself. Raises `Unavailable`."""
    if directory.name == PRODUCT_FILE and directory.is_file():
        return directory
    if not directory.is_dir():
        raise Unavailable(
            f"there is no directory {directory}", hint="name the directory of a product.toml"
        )
    if not (directory / PRODUCT_FILE).exists():
        raise Unavailable(
            f"there is no {PRODUCT_FILE} in {directory}",
            hint="docs/product-file.md says how to write one; examples/thermostat has one",
        )
    return directory / PRODUCT_FILE
