"""What a package carries inside: parts that were compiled in, as the package itself states them.

Owns two sources, in this order: the SBOMs in its `.dist-info/sboms` (PEP 770), and version texts
that some libraries leave in what they are compiled into. A library that leaves none is named
without a version, or not found at all: docs/sbom.md says so.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from limpet.errors import naming
from limpet.release.sbom._component import Component, Sbom
from limpet.release.sbom._reading import read_sbom
from limpet.storage import read_bounded
from limpet.wire.release import SBOM_BYTES

__all__ = ["Bundled", "bundled_parts", "marked_libraries"]

_LIBRARY_BYTES = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """How a library is recognised in a binary of `package` (any, if empty)."""

    library: str
    text: re.Pattern[bytes]
    package: str = ""


_MARKS: Final = (
    _Mark(
        library="openssl",
        text=re.compile(rb"OpenSSL (\d+\.\d+\.\d+[a-z]?) +\d+ [A-Z][a-z]{2} \d{4}"),
    ),
    _Mark(library="zlib", text=re.compile(rb"deflate (\d+\.\d+\.\d+(?:\.\d+)?) Copyright")),
    _Mark(library="zstd", text=re.compile(rb"\0(1\.\d{1,2}\.\d{1,2})\0"), package="zstandard"),
)
# Compiled in, and without a text that tells the version.
_UNVERSIONED: Final = {"cffi": ("libffi", b"libffi failed to build this callback")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundled:
    """What was found in one package. References are of this package alone."""

    components: tuple[tuple[Component, str], ...] = ()  # with the file of the tree that states it
    dependencies: tuple[tuple[str, tuple[str, ...]], ...] = ()  # "" is the package itself
    unversioned: tuple[str, ...] = ()


def bundled_parts(tree: Path, package: str, info: str, files: Iterable[str]) -> Bundled:
    """What `package` states; `files` are its own, `info` its `.dist-info`, as the tree has them.

    Raises `Rejected`, naming the file, for an SBOM in the package that cannot be read.
    """
    files = tuple(files)
    found: dict[str, tuple[Component, str]] = {}
    edges: dict[str, set[str]] = {}
    for name in files:
        if name.startswith(f"{info}/sboms/") and name.endswith(".json"):
            with naming(name, hint="the package's own SBOM (PEP 770) is damaged"):
                stated = read_sbom(read_bounded(tree / name, max_bytes=SBOM_BYTES), name)
            names = _rename(stated, package)
            for one in stated.components:
                if reference := names[one.reference]:
                    found.setdefault(reference, (replace(one, reference=reference), name))
            for source, targets in stated.dependencies.items():
                edges.setdefault(names[source], set()).update(names[one] for one in targets)
    known = {component.name.lower() for component, _ in found.values()}
    for component, name in _marked(tree, package, files):
        if component.name not in known:
            found.setdefault(component.reference, (component, name))
    return Bundled(
        components=tuple(found[key] for key in sorted(found)),
        dependencies=tuple(
            (source, tuple(sorted(targets - {source}))) for source, targets in sorted(edges.items())
        ),
        unversioned=tuple(_unversioned(tree, package, files)),
    )


def _rename(stated: Sbom, package: str) -> dict[str, str]:
    """References that tell what a component is, in place of those of the machine that built it.

    The subject is the package, and so are the entries for it and for its own modules.
    """
    own = {_plain(stated.subject), f"pkg:pypi/{package}"} - {""}
    names = {stated.subject.reference: ""}
    for one in stated.components:
        itself = one.purl and (_plain(one) in own or one.purl.startswith(f"pkg:pypi/{package}@"))
        names[one.reference] = "" if itself else _plain(one) or f"{one.name}@{one.version}"
    return names


def _plain(component: Component) -> str:
    """Its package URL without qualifiers, which say where it was built, and subpath."""
    return component.purl.partition("#")[0].partition("?")[0]


def _marked(tree: Path, package: str, files: tuple[str, ...]) -> Iterator[tuple[Component, str]]:
    for name in files:
        if not _is_library(name):
            continue
        data = read_bounded(tree / name, max_bytes=_LIBRARY_BYTES)
        for mark in _MARKS:
            if mark.package not in ("", package):
                continue
            versions = {match[1].decode() for match in mark.text.finditer(data)}
            if len(versions) == 1:
                version = versions.pop()
                purl = f"pkg:generic/{mark.library}@{version}"
                yield Component(name=mark.library, version=version, purl=purl, reference=purl), name


def marked_libraries(data: bytes) -> tuple[str, ...]:
    """Which libraries with a version text are in a file of no package: "openssl 3.0.1"."""
    return tuple(
        f"{mark.library} {match[1].decode()}"
        for mark in _MARKS
        if not mark.package and (match := mark.text.search(data))
    )


def _unversioned(tree: Path, package: str, files: tuple[str, ...]) -> Iterator[str]:
    if package not in _UNVERSIONED:
        return
    library, text = _UNVERSIONED[package]
    for name in files:
        if _is_library(name) and text in read_bounded(tree / name, max_bytes=_LIBRARY_BYTES):
            yield library
            return


def _is_library(name: str) -> bool:
    file = name.rpartition("/")[2]
    return file.endswith(".so") or ".so." in file
