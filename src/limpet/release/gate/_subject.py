"""What the gate looks at: a product's source, a release built from it, and what came before.

Owns the paths and how they are opened. Everything is loaded anew from files and verified when it
is: the gate trusts nothing that a build tool said.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from threading import Event

from limpet.errors import Rejected, Unavailable, naming
from limpet.product import PRODUCT_FILE, Development, Product, examine_product, load_product
from limpet.release._build import Built, load_built
from limpet.release.sbom import SBOM_BYTES, SBOM_FILE, Sbom, read_sbom
from limpet.release.testing import RESULT_BYTES, Result, read_result
from limpet.source import Commit, find_commit, list_commits, read_committed
from limpet.storage import read_bounded
from limpet.wire.release import ReleaseManifest

__all__ = ["Before", "Subject"]


@dataclass(frozen=True, slots=True)
class Before:
    """What the signed repository says of the releases before; `manifest` None: this is the first.

    Not the same as a repository that nobody gave: then it is not known.
    """

    manifest: ReleaseManifest | None


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One release before the gate. What is None was not given; a rule that needs it says so.

    Each file is read once, so that all rules judge the same content.
    """

    product: Path  # the directory of product.toml
    release: Path  # the directory that `release build` made
    tree: Path  # the firmware's content, unpacked from the image and verified
    now: datetime  # UTC
    before: Before | None = None
    advisories: Path | None = None  # the store of known vulnerabilities
    advisories_age: timedelta = timedelta(days=7)  # the oldest that is believed
    tests: Path | None = None  # JUnit result of the product's own suite
    published: Path | None = None  # the vendor's public advisories, of all its models
    given_up: Event = field(default_factory=Event)  # nobody waits any more: a rule may end at once

    @cached_property
    def built(self) -> Built:
        """The release; raises as `load_built`."""
        return load_built(self.release)

    @property
    def manifest(self) -> ReleaseManifest:
        """The manifest of the release."""
        return self.built.manifest

    @cached_property
    def design(self) -> Product:
        """The design file, by shape only; `design-whole` judges it. Raises as `load_product`."""
        return load_product(self.product / PRODUCT_FILE)

    @property
    def last(self) -> ReleaseManifest | None:
        """The release before this one; None: this is the first. Raises `Unavailable`."""
        if self.before is None:
            raise Unavailable(
                "not looked at: the release before is not known",
                hint="give --repository; its signed metadata says also that there is none",
            )
        return self.before.manifest

    @cached_property
    def last_commit(self) -> str:
        """The id of what the release before was built from; "" for the first one.

        Raises `Unavailable`, also where it does not say or this history does not have it.
        """
        last = self.last
        if last is None:
            return ""
        if not last.source_commit:
            raise Unavailable(
                f"{last.version} does not say from which commit it was built",
                hint="build a release from a commit; the one after it can be judged",
            )
        return find_commit(self.product, last.source_commit)

    @cached_property
    def commits(self) -> tuple[Commit, ...]:
        """Every commit since the release before, newest first. Raises `Unavailable`."""
        return list_commits(self.product, since=self.last_commit)

    @cached_property
    def last_design(self) -> Product | None:
        """The design file of the release before; None for the first. Raises `Unavailable`."""
        commit = self.last_commit
        if not commit:
            return None
        data = read_committed(self.product, commit, PRODUCT_FILE)
        design = examine_product(data)[0] if data is not None else None
        if design is None:
            raise Unavailable(f"the design file of commit {commit[:12]} cannot be read")
        return design

    @property
    def development(self) -> Development:
        """How the product is developed. Raises `Rejected` where the design file does not say."""
        development = self.design.development
        if development is None:
            raise Rejected(
                "no-development",
                f"{PRODUCT_FILE} does not say how the product is developed",
                hint="add [development], see docs/product-file.md#development",
            )
        return development

    @cached_property
    def result(self) -> Result:
        """The result of the product's tests. Raises `Unavailable` if none is given, `Rejected`."""
        path = self.need(self.tests, "--tests")
        with naming(path.name):
            return read_result(read_bounded(path, max_bytes=RESULT_BYTES))

    @cached_property
    def sbom(self) -> Sbom:
        """The bill of materials beside the image. Raises `Unavailable` if there is none,
        `Rejected`."""
        path = self.release / SBOM_FILE
        if not path.is_file():
            raise Unavailable(f"there is no {SBOM_FILE} beside the image", hint="build it again")
        return read_sbom(read_bounded(path, max_bytes=SBOM_BYTES), SBOM_FILE)

    def need(self, path: Path | None, option: str) -> Path:
        """`path`, or `Unavailable` naming the option that gives it."""
        if path is None:
            raise Unavailable(f"not looked at: no {option} given", hint=f"give {option}")
        return path
