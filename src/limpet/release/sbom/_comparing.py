"""Whether a bill of materials is that of one image: what is in both, and what in one alone.

Owns the comparison. Looks at the tree itself each time, by the same way that a bill is made: what
the bill states of itself proves nothing.
"""

import enum
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from limpet.release.sbom._component import Component, Origin, Sbom

__all__ = ["Difference", "Problem", "compare_sbom"]


class Difference(enum.Enum):
    """In what a bill and an image differ."""

    IMAGE = "another-image"  # the bill is of other bytes
    TREE = "another-tree"  # the files together are not those that the bill was made of
    MISSING = "missing"  # in the image, not in the bill
    ADDED = "added"  # in the bill, not in the image
    VERSION = "version"
    CONTENT = "content"  # files or wheel are others
    UNPROVEN = "unproven"  # the bill does not state the digest that could be compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One difference. None at all means that the bill is that of the image."""

    difference: Difference
    component: str  # its name; empty for the whole
    text: str


def compare_sbom(
    sbom: Sbom,
    tree: Path,
    *,
    image_sha256: str,
    system: Iterable[Component] | None = (),
) -> tuple[Problem, ...]:
    """Every difference between `sbom` and the firmware `tree`, which the image of `image_sha256`
    (of its file in transport) holds, with the packages of the `system` around it.

    Raises `Rejected` for a tree that no build of limpet's made.
    """
    from limpet.release.sbom._parts import list_parts

    inventory = list_parts(tree, system)
    found = list(_compare_whole(sbom, image_sha256, inventory.files.digest_of_tree))
    expected = [part.component for part in inventory.parts]
    theirs = list(sbom.components)
    for ours, stated in _pairs(expected, theirs):
        found += _compare(ours, stated)
    return tuple(found)


def _compare_whole(sbom: Sbom, image_sha256: str, tree_sha256: str) -> Iterator[Problem]:
    stated = sbom.subject_sha256
    if stated != image_sha256:
        said = f"it is of the image {stated[:16]}…" if stated else "it names no image"
        text = f"{said}, and this one is {image_sha256[:16]}…"
        difference = Difference.IMAGE if stated else Difference.UNPROVEN
        yield Problem(difference=difference, component="", text=text)
    if sbom.tree_sha256 and sbom.tree_sha256 != tree_sha256:
        text = f"its tree is {sbom.tree_sha256[:16]}…, and this one is {tree_sha256[:16]}…"
        yield Problem(difference=Difference.TREE, component="", text=text)


def _pairs(
    ours: Iterable[Component], theirs: Iterable[Component]
) -> Iterator[tuple[Component | None, Component | None]]:
    """Components of the image and of the bill that are the same thing; None where one has none.

    Several may have one name: those of equal version belong together first.
    """
    sides: dict[str, tuple[list[Component], list[Component]]] = defaultdict(lambda: ([], []))
    for side, components in enumerate((ours, theirs)):
        for one in sorted(components, key=lambda one: (one.version, one.reference)):
            sides[_key(one)][side].append(one)
    for _, (here, there) in sorted(sides.items()):
        for one in list(here):
            same = next((other for other in there if other.version == one.version), None)
            if same is not None:
                here.remove(one)
                there.remove(same)
                yield one, same
        for number in range(max(len(here), len(there))):
            yield (
                here[number] if number < len(here) else None,
                there[number] if number < len(there) else None,
            )


def _key(one: Component) -> str:
    """What it is, without its version: the package URL up to there, or kind and name."""
    return one.purl.partition("@")[0] if "@" in one.purl else f"{one.kind} {one.name}"


def _compare(ours: Component | None, stated: Component | None) -> Iterator[Problem]:
    if ours is None or stated is None:
        one = ours or stated
        if one is not None:
            where = "in the image, not in the bill" if ours else "in the bill, not in the image"
            difference = Difference.MISSING if ours else Difference.ADDED
            yield _problem(difference, one, f"{where}: {one.name} {one.version}".strip())
        return
    if ours.version != stated.version:
        text = f"{ours.name} is {ours.version} in the image, {stated.version} in the bill"
        yield _problem(Difference.VERSION, ours, text)
    digest = "SHA-256"
    if ours.origin is Origin.PACKAGE and ours.hashes.get(digest) != stated.hashes.get(digest):
        difference = Difference.CONTENT if digest in stated.hashes else Difference.UNPROVEN
        yield _problem(difference, ours, f"{ours.name}: its wheel is not that of the bill")
    if ours.content_sha256 != stated.content_sha256:
        difference = Difference.CONTENT if stated.content_sha256 else Difference.UNPROVEN
        text = f"{ours.name}: its files in the image are not those that the bill names"
        yield _problem(difference, ours, text)


def _problem(difference: Difference, one: Component, text: str) -> Problem:
    return Problem(difference=difference, component=one.name, text=text)
