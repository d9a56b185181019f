"""Imports a product's package and finds the `App` in it.

Owns the way from a product's directory (`product.toml` and `app/`) to its
declarations. Turns every way in which a package can be broken into one line.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

from limpet.device.app._app import App
from limpet.errors import Rejected
from limpet.product import PRODUCT_FILE, Product, load_product

__all__ = ["load_app"]


def load_app(product_directory: Path, product: Product | None = None) -> App[Any]:
    """The attribute `app` of the module that `product.toml` names, imported from `app/`.

    `product` is its design, if it was read already. Puts `app/` in front of the import path of
    this process. Raises `Rejected("bad-app")`,
    and what `load_product` raises.
    """
    product = product or load_product(product_directory / PRODUCT_FILE)
    packages = (product_directory / "app").resolve()
    module_name = product.app.module
    sys.path.insert(0, str(packages))
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise Rejected(
            "bad-app",
            f"the app package {module_name} cannot be imported: {type(error).__name__}: {error}",
            hint=f"look at {packages / module_name}",
        ) from error
    origin = Path(module.__file__ or "/")
    if packages not in origin.resolve().parents:
        raise Rejected(
            "bad-app",
            f"the app package {module_name} is hidden by another of that name",
            hint="rename the package below app/",
        )
    app = getattr(module, "app", None)
    if not isinstance(app, App):
        raise Rejected(
            "bad-app", f"{module_name} has no `app = App(…)`", hint="see docs/app-sdk.md"
        )
    return app
