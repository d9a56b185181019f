"""Which package of a tree requires which other one, on the device that it is for (PEP 508).

Owns the reading of markers and extras. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from limpet.release.sbom._metadata import Distribution

__all__ = ["required_by"]


def required_by(
    one: Distribution, packages: Iterable[Distribution], environment: Mapping[str, str]
) -> Iterator[Distribution]:
    """Those of `packages` that `one` requires where markers have the values of `environment`.

    Its extras count as far as another package asks for them.
    """
    packages = tuple(packages)
    by_name = {other.name: other for other in packages}
    extras = {"", *_extras_of(one, packages, environment)}
    for requirement in one.requires:
        other = by_name.get(canonicalize_name(requirement.name))
        if other is not None and _holds(requirement, environment, extras):
            yield other


def _extras_of(
    one: Distribution, packages: Iterable[Distribution], environment: Mapping[str, str]
) -> Iterator[str]:
    """Extras that a package asks of `one` without an extra of its own."""
    for other in packages:
        for requirement in other.requires:
            asked = canonicalize_name(requirement.name) == one.name and requirement.extras
            if asked and _holds(requirement, environment, {""}):
                yield from requirement.extras


def _holds(requirement: Requirement, environment: Mapping[str, str], extras: Iterable[str]) -> bool:
    marker = requirement.marker
    if marker is None:
        return True
    return any(marker.evaluate({**environment, "extra": extra}) for extra in extras)
