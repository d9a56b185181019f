"""`limpet release sbom`: what a firmware is made of, and whether a bill is that of an image.

Owns arguments and printing. Reads documents of any tool; `limpet.release.sbom` does the work.
"""

import tempfile
from pathlib import Path

import msgspec
import typer

from limpet.cli._frame import emit, print_table, progress
from limpet.errors import Unavailable
from limpet.release import load_built
from limpet.release.sbom import (
    SBOM_BYTES,
    Component,
    CryptoAsset,
    Problem,
    Sbom,
    compare_sbom,
    read_sbom,
    unpack_image,
)
from limpet.storage import read_bounded

__all__ = ["EXAMPLES", "show_sbom"]

EXAMPLES = (
    "limpet release sbom out",
    "limpet release sbom sbom.cdx.json --against out",
)
_IMAGE = len("images/")
_DIGEST = 64
_LICENCE = 40  # characters of a licence in the table


class _Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A bill of materials, as `--json` gives it."""

    file: str
    serial: str
    subject: Component
    components: tuple[Component, ...]
    crypto: tuple[CryptoAsset, ...]
    problems: tuple[Problem, ...] | None  # None: compared with nothing


def show_sbom(
    path: Path = typer.Argument(
        ..., metavar="OUT|FILE", help="A release's directory, or a CycloneDX document of any tool."
    ),
    against: Path | None = typer.Option(
        None, help="A release's directory: is this the bill of what is really in its image?"
    ),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show what a firmware is made of: components, licences, cryptography.

    With --against, the image is unpacked and compared: 0 if all agrees, 1 if not.
    """
    file = _file(path)
    sbom = read_sbom(read_bounded(file, max_bytes=SBOM_BYTES), str(file))
    problems = _compare(sbom, against) if against else None
    shown = _Shown(
        file=str(file),
        serial=sbom.serial,
        subject=sbom.subject,
        components=sbom.components,
        crypto=sbom.crypto,
        problems=problems,
    )
    emit(shown, json=json, human=_print)
    if problems:
        raise typer.Exit(1)


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = load_built(path).sbom
    if found is None:
        hint = "it is from before there was one: build it again"
        raise Unavailable(f"{path} has no bill of materials", hint=hint)
    return found


def _compare(sbom: Sbom, against: Path) -> tuple[Problem, ...]:
    built = load_built(against)
    image = built.manifest.image
    with (
        progress("unpacking the image") as shown,
        tempfile.TemporaryDirectory(prefix="limpet-sbom-") as place,
    ):
        found = unpack_image(built.image, image, Path(place))
        shown.note("comparing")
        digest = image.path[_IMAGE : _IMAGE + _DIGEST]
        return compare_sbom(sbom, found.tree, image_sha256=digest, system=found.system)


def _print(shown: _Shown) -> None:
    subject = shown.subject
    print(f"{subject.name} {subject.version}  {shown.file}")
    for name, digest in sorted(subject.hashes.items()):
        print(f"  {name}  {digest}")
    count = len(shown.components)
    print(f"\n{count} component{'s' * (count != 1)}")
    rows = [
        (one.name, one.version or "-", _short(" / ".join(one.licences)) or "not stated",
         one.purl or one.reference)
        for one in sorted(shown.components, key=lambda one: (one.origin.value, one.name))
    ]  # fmt: skip
    print_table(("name", "version", "licence", "package URL"), rows)
    if shown.crypto:
        print(f"\n{len(shown.crypto)} cryptographic assets")
        assets = [
            (one.name, one.kind, one.detail or "-", _first(one.used_by)) for one in shown.crypto
        ]
        print_table(("name", "kind", "detail", "used by"), assets)
    if shown.problems is not None:
        _print_problems(shown.problems)


def _print_problems(problems: tuple[Problem, ...]) -> None:
    if not problems:
        print("\nIt is the bill of this image: every component and every digest agrees.")
        return
    print(f"\nIt is not the bill of this image: {len(problems)} differences")
    rows = [(one.difference.value, one.component or "-", one.text) for one in problems]
    print_table(("difference", "component", "what"), rows)


def _first(places: tuple[str, ...]) -> str:
    """The first place; all of them are in the JSON."""
    if len(places) < 2:
        return "".join(places)
    return f"{places[0]} and {len(places) - 1} more"


def _short(text: str) -> str:
    return text if len(text) <= _LICENCE else f"{text[: _LICENCE - 1]}…"
