"""What `limpet release build` is told of why a release is made, and from what."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from limpet.release import find_committed

__all__ = ["Source"]


@dataclass(frozen=True, slots=True)
class Source:
    """Three options; the gate holds the release to each of them."""

    source_commit: Annotated[
        str | None,
        typer.Option(help="What it is built from; default: HEAD, if nothing differs from it."),
    ] = None
    because: Annotated[
        str, typer.Option(help="The security issue that requires a change of the interface.")
    ] = ""
    after_support: Annotated[
        bool, typer.Option("--after-support", help="Say that it comes after the support period.")
    ] = False

    def commit_of(self, product: Path) -> str:
        """The commit that was given, else the one that `product` is; a warning if it is none."""
        if self.source_commit is not None:
            return self.source_commit
        found = find_committed(product)
        if not found.commit:
            why = ascii(found.why)[1:-1]
            words = f"limpet: the release names no commit, so the gate will not pass it: {why}"
            typer.echo(words, err=True)
        return found.commit
