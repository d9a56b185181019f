"""What a look-up of known vulnerabilities says, and what it does not know.

Owns the types that the store, the matching and the decision share. "Nothing was found" and "it
could not be looked up" are different types: a component is clean only where nothing of it is in
`unmatched` and the store was there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from limpet.release.sbom import Component

__all__ = [
    "EcosystemFacts",
    "Hit",
    "ImportReport",
    "Lookup",
    "Refusal",
    "StoreFacts",
    "Unmatched",
    "Why",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EcosystemFacts:
    """What the store has of one ecosystem, as "PyPI" or "Debian"."""

    advisories: int
    newest: datetime  # the latest `modified` of its advisories
    imported_at: datetime  # when a dump of it was last read to the end


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """Which data a look-up used: belongs into the result of the gate.

    `ecosystems` holds only those whose dump was imported whole: records of PyPI name packages of
    npm too, which does not make them the advisories of npm. `digest` (SHA-256, hexadecimal) is over
    the content, so that two stores with the same advisories have the same.
    """

    advisories: int
    ecosystems: Mapping[str, EcosystemFacts]
    digest: str
    refused: tuple[str, ...] = ()  # entries of a dump that could not be read, at most 20 names
    refused_count: int = 0

    @property
    def imported_at(self) -> datetime | None:
        """The earliest of the ecosystems' last imports; None for an empty store."""
        return min((one.imported_at for one in self.ecosystems.values()), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An entry of a dump that was not taken, and why."""

    entry: str
    reason: str  # a short stable word, as of `limpet.errors.Rejected`
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import did. With `refused` the store stays inconclusive until they are repaired."""

    read: int
    added: int
    changed: int
    unchanged: int
    withdrawn: int  # of all that were read
    refused: tuple[Refusal, ...]  # the first 100
    refused_count: int
    ecosystems: tuple[str, ...]  # whose dump this was
    facts: StoreFacts


class Why(Enum):
    """Why a component could not be looked up."""

    NO_PURL = "no-purl"
    BAD_PURL = "bad-purl"
    NO_RULES = "no-rules"  # of this kind of package: no ecosystem of OSV, or none that we order
    NO_RELEASE = "no-release"  # a distribution's package that does not say of which release
    NO_SOURCE = "no-source"  # a Debian package that does not say from which source package
    NOT_IMPORTED = "not-imported"
    NO_VERSION = "no-version"
    BAD_VERSION = "bad-version"
    BROKEN_RANGE = "broken-range"  # of `Unmatched.advisory`
    GIT_ONLY = "git-only"  # the advisory names commits, no versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmatched:
    """A component of which it is not known whether an advisory concerns it."""

    component: Component
    why: Why
    detail: str
    advisory: str = ""  # if it is about one
    names: frozenset[str] = frozenset()  # that advisory's id and aliases


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A known vulnerability of exactly this component in exactly this version."""

    advisory: str
    aliases: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()  # what a distribution's advisory is about, mostly CVE ids
    component: Component
    summary: str = ""
    severity: str = ""  # as published: a CVSS vector, or a word
    affected: str = ""  # the range for a person, as ">= 2, < 2.4.1"
    fixed_versions: tuple[str, ...] = ()  # later than the component's, in order
    workaround: str = ""
    published: datetime | None = None
    modified: datetime

    @property
    def names(self) -> frozenset[str]:
        """The ids under which a statement may speak of it.

        Of several upstream vulnerabilities in one advisory none stands for it: a statement about
        one does not excuse the others.
        """
        single = self.upstream if len(self.upstream) == 1 else ()
        return frozenset((self.advisory, *self.aliases, *single))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """What the store says of a firmware's components.

    `trouble` says why there was no store to ask (missing, damaged); then `facts` is None and all
    else is empty, and nothing is known of any component.
    """

    hits: tuple[Hit, ...] = ()
    unmatched: tuple[Unmatched, ...] = ()
    facts: StoreFacts | None = None
    trouble: str = ""
    components: int = field(default=0)  # how many were looked up
