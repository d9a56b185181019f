"""Which advisories concern a firmware's components: by ecosystem, package and version.

Owns the look-up. Never matches by an id, and never leaves a component out: each is looked up
whole, or named in `Lookup.unmatched` with the reason.
"""

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

from limpet.errors import LimpetError, Rejected
from limpet.release.sbom import Component, Origin

from ._names import Sought, locate
from ._osv import base_of
from ._ranges import Verdict, decide_affected, describe
from ._store import AdvisoryStore, Found
from ._types import Hit, Lookup, Unmatched, Why
from ._versions import SEMVER, Parse, make_parser

__all__ = ["look_up", "match"]

# What the vendor makes itself is in no ecosystem: its advisories are the vendor's own to write.
_UNPUBLISHED = frozenset({Why.NO_PURL, Why.NO_RULES})
_WHY = {Verdict.BROKEN: Why.BROKEN_RANGE, Verdict.GIT_ONLY: Why.GIT_ONLY}


def look_up(path: Path, components: Sequence[Component]) -> Lookup:
    """`match` against the store at `path`; one that cannot be opened is told as `trouble`."""
    try:
        with AdvisoryStore.open(path) as store:
            return match(store, components)
    except LimpetError as error:
        return Lookup(trouble=error.message, components=len(components))


def match(store: AdvisoryStore, components: Sequence[Component]) -> Lookup:
    """Look every component up.

    Raises `Rejected("damaged")` if the store turns out to be; nothing of it is then to be used.
    """
    parsers = _Parsers()
    hits: list[Hit] = []
    unmatched: list[Unmatched] = []
    for component in components:
        for one in _match_one(store, component, parsers):
            if isinstance(one, Hit):
                hits.append(one)
            else:
                unmatched.append(one)
    return Lookup(
        hits=tuple(hits),
        unmatched=tuple(unmatched),
        facts=store.facts,
        components=len(components),
    )


class _Parsers:
    """One parser an ecosystem, for as long as the look-up lasts."""

    def __init__(self) -> None:
        self._made: dict[str, Parse] = {}

    def of(self, ecosystem: str) -> Parse:
        if ecosystem not in self._made:
            self._made[ecosystem] = make_parser(ecosystem)
        return self._made[ecosystem]


def _match_one(
    store: AdvisoryStore, component: Component, parsers: _Parsers
) -> Iterator[Hit | Unmatched]:
    sought = locate(component)
    if isinstance(sought, Unmatched):
        if component.origin is not Origin.OWN or sought.why not in _UNPUBLISHED:
            yield sought
        return
    if trouble := _find_trouble(store, component, sought, parsers):
        yield trouble
        return
    found = store.find(sought.ecosystems, sought.name)
    if not found and not sought.is_source:
        detail = (
            f"its purl does not say from which source package it is built (upstream=…), and"
            f" {sought.ecosystems[0]} has no advisory about a source package {sought.name}"
        )
        yield Unmatched(component=component, why=Why.NO_SOURCE, detail=detail)
    for one in found:
        if decided := _decide(component, sought, one, parsers):
            yield decided


def _find_trouble(
    store: AdvisoryStore, component: Component, sought: Sought, parsers: _Parsers
) -> Unmatched | None:
    """Why the store cannot answer for this component at all."""
    facts = store.facts.ecosystems.get(base_of(sought.base))
    released = any(store.has_release(one) for one in sought.ecosystems)
    if facts is None or not released:
        detail = f"the database has no dump of {sought.ecosystems[0]}"
        return Unmatched(component=component, why=Why.NOT_IMPORTED, detail=detail)
    try:
        parsers.of(sought.base)(sought.version)
    except Rejected as error:
        return Unmatched(component=component, why=Why.BAD_VERSION, detail=error.message)
    return None


def _decide(
    component: Component, sought: Sought, found: Found, parsers: _Parsers
) -> Hit | Unmatched | None:
    advisory = found.advisory
    semver = functools.partial(parsers.of, SEMVER)
    decided = decide_affected(found.affected, sought.version, parsers.of(sought.base), semver)
    if decided.verdict is Verdict.UNAFFECTED:
        return None
    hit = Hit(
        advisory=advisory.id,
        aliases=advisory.aliases,
        upstream=advisory.upstream,
        component=component,
        summary=advisory.summary,
        severity=advisory.severity,
        affected=describe(found.affected),
        fixed_versions=decided.fixed,
        workaround=advisory.workaround,
        published=advisory.published,
        modified=advisory.modified,
    )
    if decided.verdict is Verdict.AFFECTED:
        return hit
    return Unmatched(
        component=component,
        why=_WHY[decided.verdict],
        detail=f"{advisory.id}: {decided.why}",
        advisory=advisory.id,
        names=hit.names,
    )
