"""Where each page of a model lies: files below the site, and the addresses that they are asked by.

Owns the names. The first model's own pages are the host's; those of the others have its name.
"""

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["COMPARISON", "Place", "address_of", "relative"]

COMPARISON = "compare.html"


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one model."""

    model: str
    name: str  # for people
    first: bool

    @property
    def overview(self) -> str:
        """What the product is."""
        return "index.html" if self.first else f"products/{self.model}.html"

    @property
    def security(self) -> str:
        """How to report a bug, and the security document."""
        return "security.html" if self.first else f"security/{self.model}.html"

    @property
    def paper(self) -> str:
        """The same document as a PDF."""
        return "security.pdf" if self.first else f"security/{self.model}.pdf"

    def page(self, kind: str) -> str:
        """The page of that kind: support, releases, components, advisories, audit, network."""
        return f"{kind}/{self.model}.html"

    def data(self, kind: str, suffix: str = "json") -> str:
        """A file for programs beside the page."""
        return f"{kind}/{self.model}.{suffix}"

    def pages(self) -> Iterator[tuple[str, str]]:
        """Name and file of each page, in the order of the navigation."""
        yield "Overview", self.overview
        yield "Security", self.security
        for kind in ("support", "releases", "components", "advisories", "audit", "network"):
            yield kind.capitalize(), self.page(kind)
        yield "Compare", COMPARISON


def address_of(file: str) -> str:
    """The path in the URL: `/`, `/security`, `/support/thermostat`, `/compare.json`."""
    if file == "index.html":
        return "/"
    return f"/{file.removesuffix('.html')}"


def relative(target: str, source: str) -> str:
    """The link from the page `source` to the file `target`, which holds on any server and none."""
    up = "../" * source.count("/")
    path, hash_sign, anchor = target.partition("#")
    return f"{up}{path}{hash_sign}{anchor}"
