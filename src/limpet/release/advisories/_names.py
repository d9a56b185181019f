"""Where the advisories of a component are: its ecosystem, release and name, as OSV has them.

Owns the table from package URLs (ECMA-427) to OSV's ecosystems, and what makes two names one.
Reads nothing but the component.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from packageurl import PackageURL

from limpet.release.sbom import Component, Origin

from ._types import Unmatched, Why

__all__ = ["Sought", "locate", "normalise_name"]

_ECOSYSTEMS: Mapping[str, str] = {  # by the type of the purl
    "cargo": "crates.io",
    "gem": "RubyGems",
    "golang": "Go",
    "maven": "Maven",
    "npm": "npm",
    "nuget": "NuGet",
    "pypi": "PyPI",
}
_DISTRIBUTIONS: Mapping[tuple[str, str], str] = {  # by type and namespace
    ("deb", "debian"): "Debian",
    ("deb", "ubuntu"): "Ubuntu",
    ("apk", "alpine"): "Alpine",
}
_DEBIAN_CODENAMES: Mapping[str, str] = {
    "buster": "10",
    "bullseye": "11",
    "bookworm": "12",
    "trixie": "13",
    "forky": "14",
}
_PYPI_SEPARATORS = re.compile(r"[-_.]+")
_BINARY_REBUILD = re.compile(r"\+b[0-9]+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Under what to look in the store; `version` is the one to compare."""

    base: str  # "Debian"
    ecosystems: tuple[str, ...]  # "Debian:12" and what else holds for it
    name: str
    version: str
    is_source: bool = True  # False: the name may be a binary package's, its source is not said


def normalise_name(ecosystem: str, name: str) -> str:
    """The one form of a package's name. PyPI: PEP 503; NuGet compares without case."""
    if ecosystem == "PyPI":
        return _PYPI_SEPARATORS.sub("-", name).lower()
    return name.lower() if ecosystem == "NuGet" else name


def locate(component: Component) -> Sought | Unmatched:
    """Where to look for `component`, or why that cannot be said."""
    if not component.purl:
        return _unmatched(component, Why.NO_PURL, "the SBOM gives no purl")
    try:
        purl = PackageURL.from_string(component.purl)
    except ValueError as error:
        return _unmatched(component, Why.BAD_PURL, f"{component.purl[:100]!r}: {error}")
    version = purl.version or component.version
    if not version:
        return _unmatched(component, Why.NO_VERSION, "the SBOM gives no version")
    if component.version and purl.version and component.version != purl.version:
        detail = f"its version is {component.version}, its purl says {purl.version}"
        return _unmatched(component, Why.BAD_VERSION, detail)
    if base := _DISTRIBUTIONS.get((purl.type, purl.namespace or "")):
        return _locate_distributed(component, purl, base, version)
    ecosystem = _ECOSYSTEMS.get(purl.type)
    if not ecosystem:
        detail = f"OSV has no ecosystem that we compare for pkg:{purl.type}/{purl.namespace or ''}"
        return _unmatched(component, Why.NO_RULES, detail.rstrip("/"))
    name = f"{purl.namespace}{_separator(ecosystem)}{purl.name}" if purl.namespace else purl.name
    return Sought(
        base=ecosystem,
        ecosystems=(ecosystem,),
        name=normalise_name(ecosystem, name),
        version=version.removeprefix("v") if ecosystem == "Go" else version,
    )


def _separator(ecosystem: str) -> str:
    return ":" if ecosystem == "Maven" else "/"


def _locate_distributed(
    component: Component, purl: PackageURL, base: str, version: str
) -> Sought | Unmatched:
    """Distributions name the *source* package; SBOM tools give it in the qualifier `upstream`."""
    qualifiers = dict(purl.qualifiers or {})
    releases = _releases_of(base, qualifiers.get("distro", ""))
    if not releases:
        detail = f"its purl does not say of which release of {base} it is (distro=…)"
        return _unmatched(component, Why.NO_RELEASE, detail)
    upstream, _, upstream_version = qualifiers.get("upstream", "").partition("@")
    # A binary that was only rebuilt (+b1) is of the source without that.
    source_version = upstream_version or _BINARY_REBUILD.sub("", version)
    return Sought(
        base=base,
        ecosystems=releases,
        name=upstream or purl.name,
        version=source_version,
        is_source=bool(upstream)
        or qualifiers.get("arch") == "source"
        or component.origin is Origin.SYSTEM,  # our own SBOM: it says so where they differ
    )


def _releases_of(base: str, distro: str) -> tuple[str, ...]:
    family, _, release = distro.lower().rpartition("-")
    if family not in ("", base.lower()) or not release:
        return ()
    if base == "Debian":
        number = _DEBIAN_CODENAMES.get(release, release.partition(".")[0])
        return (f"Debian:{number}", "Debian") if number.isdigit() else ()
    parts = release.removeprefix("v").split(".")
    if len(parts) < 2 or not all(part.isdigit() for part in parts[:2]):
        return ()
    short = f"{parts[0]}.{parts[1]}"
    if base == "Alpine":
        return (f"Alpine:v{short}", "Alpine")
    return (f"Ubuntu:{short}:LTS", f"Ubuntu:{short}", "Ubuntu")


def _unmatched(component: Component, why: Why, detail: str) -> Unmatched:
    return Unmatched(component=component, why=why, detail=detail)
