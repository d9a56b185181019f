"""What the gate looks at: a product's source, a release built from it, and what came before.

Owns the paths and how they are opened. Everything is loaded anew from files and verified when it
is: the gate trusts nothing that a build tool said.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from limpet.errors import Unavailable
from limpet.product import PRODUCT_FILE, Product, load_product
from limpet.release._build import Built, load_built
from limpet.wire.release import ReleaseManifest

__all__ = ["Subject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One release before the gate. What is None was not given; a rule that needs it says so."""

    product: Path  # the directory of product.toml
    release: Path  # the directory that `release build` made
    tree: Path  # the firmware's content, unpacked from the image and verified
    now: datetime  # UTC
    last: ReleaseManifest | None = None  # the release before, from the signed repository
    advisories: Path | None = None  # the store of known vulnerabilities
    advisories_age: timedelta = timedelta(days=7)  # the oldest that is believed
    tests: Path | None = None  # JUnit result of the product's own suite

    @property
    def built(self) -> Built:
        """The release; raises as `load_built`."""
        return load_built(self.release)

    @property
    def manifest(self) -> ReleaseManifest:
        """The manifest of the release."""
        return self.built.manifest

    @property
    def design(self) -> Product:
        """The design file, by shape only; `design-whole` judges it. Raises as `load_product`."""
        return load_product(self.product / PRODUCT_FILE)

    def need(self, path: Path | None, option: str) -> Path:
        """`path`, or `Unavailable` naming the option that gives it."""
        if path is None:
            raise Unavailable(f"not looked at: no {option} given", hint=f"give {option}")
        return path
