"""What `limpet release build` is told of why a release is made, and from what."""

from dataclasses import dataclass
from typing import Annotated

import typer

__all__ = ["Source"]


@dataclass(frozen=True, slots=True)
class Source:
    """Three options; the gate holds the release to each of them."""

    source_commit: Annotated[str, typer.Option(help="What it was built from.")] = ""
    because: Annotated[
        str, typer.Option(help="The security issue that requires a change of the interface.")
    ] = ""
    after_support: Annotated[
        bool, typer.Option("--after-support", help="Say that it comes after the support period.")
    ] = False
