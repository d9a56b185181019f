"""What a firmware tree is made of, part by part.

Owns the walk over a tree: limpet's runtime, the product's app, each locked package and what it
carries inside, and whatever else lies there. Every file below `app/`, `runtime/` and `packages/` is
of exactly one part. Writes nothing; the tree alone decides.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packageurl import PackageURL

from limpet.errors import Rejected
from limpet.firmware.description import FirmwareDescription, load_description
from limpet.product import PRODUCT_FILE, load_product
from limpet.release.sbom._component import Component, Origin
from limpet.release.sbom._content import Files, read_files
from limpet.release.sbom._graph import required_by
from limpet.release.sbom._imports import imported_names
from limpet.release.sbom._metadata import PACKAGES, Distribution, load_distributions
from limpet.release.sbom._native import bundled_parts
from limpet.release.sbom._target import Needed, needed_by
from limpet.storage import read_bounded

__all__ = ["Inventory", "Part", "list_parts"]

APP, RUNTIME = "app", "runtime"
_BYTE_CODE = "__pycache__"
_VERSION = re.compile(r'^__version__ = "([0-9A-Za-z.+]{1,40})"$', re.MULTILINE)
_SOURCE_BYTES = 1 << 20
_RUNTIME_LICENCE = "Apache-2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A component, and what only a document of our own says of it."""

    component: Component
    summary: str = ""
    authors: tuple[tuple[str, str], ...] = ()  # name, address
    links: tuple[tuple[str, str], ...] = ()  # label, URL
    facts: tuple[tuple[str, str], ...] = ()  # further properties
    needs: tuple[str, ...] = ()  # references


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All of a tree."""

    description: FirmwareDescription
    maker: str
    maker_url: str
    needed: Needed
    files: Files
    parts: tuple[Part, ...]
    roots: tuple[str, ...]  # references of what the firmware itself needs
    has_packages: bool
    has_system: bool
    unlisted: tuple[str, ...] = ()  # in the image, and not in the bill


def list_parts(tree: Path, system: Iterable[Component] | None = ()) -> Inventory:
    """Everything that is in `tree`, and the packages of the `system` around it; None: it
    cannot be looked into.

    Raises `Rejected("not-firmware" | …)` for a tree that no build of limpet's made, `Unavailable`
    for files that are missing.
    """
    description, files = load_description(tree), read_files(tree)
    design = load_product(tree / PRODUCT_FILE)
    packages = load_distributions(tree)
    needed = needed_by(one.listed.wheel for one in packages)
    owners = _owners(files, packages)
    listed = [
        part for one in packages for part in _package(tree, files, one, packages, needed, owners)
    ]
    loose = [_loose(files, path) for path in sorted(owners) if owners[path] is None]
    modules = {path: one for path, one in owners.items() if one is not None}
    runtime = _own(tree, files, RUNTIME, "limpet", _version(tree), modules)
    app = _own(tree, files, APP, f"{description.model}-app", description.version, modules)
    if "limpet" in imported_names(tree, files.below(APP)):
        needs = (*app.needs, runtime.component.reference)
        app = Part(component=app.component, needs=tuple(sorted(needs)))
    around = [Part(component=one) for one in system or ()]
    parts = (app, runtime, *listed, *loose, *around)
    reached = {reference for part in parts for reference in part.needs}
    return Inventory(
        description=description,
        maker=design.maker.name,
        maker_url=design.maker.url or "",
        needed=needed,
        files=files,
        parts=parts,
        roots=tuple(
            sorted(
                one.component.reference for one in parts if one.component.reference not in reached
            )
        ),
        has_packages=bool(packages),
        has_system=bool(around),
        unlisted=("the file system around this tree, which a packer made",) * (system is None),
    )


def _version(tree: Path) -> str:
    """That of the runtime in the tree, which need not be the one that looks."""
    file = tree / RUNTIME / "limpet" / "__init__.py"
    found = _VERSION.search(read_bounded(file, max_bytes=_SOURCE_BYTES).decode("utf-8", "replace"))
    if found is None:
        raise Rejected("not-firmware", f"{file} states no version")
    return found[1]


def _own(
    tree: Path,
    files: Files,
    path: str,
    name: str,
    version: str,
    modules: Mapping[str, Distribution],
) -> Part:
    """limpet's runtime or the product's app, and the packages that its code imports."""
    imported = imported_names(tree, files.below(path))
    tops = {top.removeprefix(f"{PACKAGES}/").split(".")[0]: one for top, one in modules.items()}
    purl = PackageURL("generic", name=name, version=version).to_string()
    component = Component(
        name=name,
        version=version,
        purl=purl,
        reference=purl,
        licences=(_RUNTIME_LICENCE,) if path == RUNTIME else (),
        kind="framework" if path == RUNTIME else "application",
        origin=Origin.OWN,
        content_sha256=files.digest((path,)),
        paths=(path,),
    )
    needs = {_reference(one) for top, one in tops.items() if top in imported}
    return Part(component=component, needs=tuple(sorted(needs)))


def _owners(files: Files, packages: Iterable[Distribution]) -> Mapping[str, Distribution | None]:
    """Whose each entry directly below `packages/` is; None if no one package claims it."""
    tops = {_top(name) for name in files.below(PACKAGES)} - {"packages.json"}
    owners: dict[str, Distribution | None] = {}
    for top in sorted(tops):
        stem = top.rpartition("/")[2].split(".")[0]
        claiming = [
            one
            for one in packages
            if top == one.info or (stem in one.claims and ".dist-info" not in top)
        ]
        owners[f"{PACKAGES}/{top}"] = claiming[0] if len(claiming) == 1 else None
    return owners


def _top(name: str) -> str:
    """The entry below `packages/` that the file `name` is of. One module's byte code is its own."""
    inside = name.removeprefix(f"{PACKAGES}/")
    top = inside.split("/")[0]
    return inside if top == _BYTE_CODE else top


def _package(
    tree: Path,
    files: Files,
    one: Distribution,
    packages: tuple[Distribution, ...],
    needed: Needed,
    owners: Mapping[str, Distribution | None],
) -> Iterable[Part]:
    """The package itself, then what it carries inside."""
    reference = _reference(one)
    paths = tuple(path for path, owner in sorted(owners.items()) if owner is one)
    inside = bundled_parts(tree, one.name, f"{PACKAGES}/{one.info}", files.below(*paths))

    def inner(name: str) -> str:
        return f"{reference}#{name}" if name else reference

    edges = {inner(source): tuple(map(inner, to)) for source, to in inside.dependencies}
    reached = {target for targets in edges.values() for target in targets}
    free = [inner(found.reference) for found, _ in inside.components]
    needs = {
        *(_reference(other) for other in required_by(one, packages, needed.environment)),
        *edges.get(reference, ()),
        *(name for name in free if name not in reached),
    }
    unversioned = (("unversioned-part", name) for name in inside.unversioned)
    yield Part(
        component=_locked(one, paths, files),
        summary=one.summary,
        authors=one.authors,
        links=one.links,
        facts=(("wheel", one.listed.wheel), *unversioned),
        needs=tuple(sorted(needs - {reference})),
    )
    for found, file in inside.components:
        name = inner(found.reference)
        yield Part(
            component=_inside(found, name),
            facts=(("stated-by", file),),
            needs=tuple(sorted(set(edges.get(name, ())) - {name})),
        )


def _locked(one: Distribution, paths: tuple[str, ...], files: Files) -> Component:
    return Component(
        name=one.name,
        version=one.listed.version,
        purl=_reference(one),
        reference=_reference(one),
        hashes={"SHA-256": one.listed.sha256},
        licences=one.licences,
        origin=Origin.PACKAGE,
        content_sha256=files.digest(paths),
        paths=paths,
    )


def _inside(found: Component, reference: str) -> Component:
    purl = found.purl
    if purl:
        url = PackageURL.from_string(purl)
        # Where the maker of the wheel had it on a disk of theirs says nothing to anybody else.
        kept = {k: v for k, v in url.qualifiers.items() if not v.startswith("file:")}
        purl = url._replace(qualifiers=kept).to_string()
    return Component(
        name=found.name,
        version=found.version,
        purl=purl,
        reference=reference,
        hashes=found.hashes,
        licences=found.licences,
        kind=found.kind,
        origin=Origin.BUNDLED,
    )


def _loose(files: Files, path: str) -> Part:
    """An entry that no package claims: it is in the image, so it is in the bill."""
    component = Component(
        name=path,
        version="",
        reference=f"file:{path}",
        kind="file",
        content_sha256=files.digest((path,)),
        paths=(path,),
    )
    return Part(component=component, facts=(("note", "no package of the image claims it"),))


def _reference(one: Distribution) -> str:
    return PackageURL("pypi", name=one.name, version=one.listed.version).to_string()
