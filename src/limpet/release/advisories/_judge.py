"""Whether a release may go out with what is known of its components. Pure.

Owns the decision, in this order for each finding:

1. No store, a damaged or stale one, a component that could not be looked up: inconclusive.
2. Excused: a VEX statement that is honoured says that it does not apply, or is fixed here.
3. Blocks: a fixed version, a workaround or a mitigation is known.
4. Blocks: nothing is known, and nobody owns it, or its review is due.
5. Listed: nothing is known, somebody owns it.

Never makes "no issues" out of "not known": only what was looked up whole in data that is fresh is
free of findings.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import Enum
from typing import TypeVar

from packageurl import PackageURL

from limpet.release.sbom import Component

from ._triage import Owned, OwnedComponent, Triage
from ._types import EcosystemFacts, Hit, Lookup, StoreFacts, Unmatched, Why
from ._vex import VexStatement, VexStatus, find_fault, is_about, is_same_package

__all__ = ["Judged", "Outcome", "Policy", "find_staleness", "judge_vulnerabilities"]

_Entry = TypeVar("_Entry", Owned, OwnedComponent)
_SKEW = timedelta(hours=1)
_OWNABLE = frozenset({Why.NO_PURL, Why.NO_RULES, Why.NO_RELEASE, Why.NO_SOURCE, Why.BAD_VERSION})


class Outcome(Enum):
    """What a finding means for the release. The first three stop it."""

    BLOCKS_FIXABLE = "blocks-fixable"
    BLOCKS_UNOWNED = "blocks-unowned"
    INCONCLUSIVE = "inconclusive"
    LISTED = "listed"
    EXCUSED = "excused"

    @property
    def blocks(self) -> bool:
        """Whether the release must not go out."""
        return self not in (Outcome.LISTED, Outcome.EXCUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How old data may be, and how far ahead a promise may reach."""

    max_age: timedelta = timedelta(days=7)  # since an ecosystem's dump was imported
    max_silence: timedelta = timedelta(days=30)  # since its newest advisory: an old dump is no new
    longest_excuse: timedelta = timedelta(days=366)
    longest_review: timedelta = timedelta(days=92)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One finding and what follows from it."""

    outcome: Outcome
    reason: str
    fix: str = ""  # what to do about it
    advisory: str = ""
    component: Component | None = None  # None: about the data as a whole
    hit: Hit | None = None
    by: str = ""  # who excuses or owns it
    until: datetime | None = None  # when that ends


def judge_vulnerabilities(
    lookup: Lookup,
    vex: Sequence[VexStatement],
    triage: Triage,
    now: datetime,
    policy: Policy | None = None,
    *,
    subject: str = "",
) -> tuple[Judged, ...]:
    """Every finding with its outcome; what blocks comes first.

    `subject` is the purl of the firmware: statements about a component in another product are
    not honoured. An empty result means that all was looked up in fresh data and nothing found.
    """
    policy = policy or Policy()
    judged = [
        *_judge_data(lookup, now, policy),
        *(_judge_unmatched(one, vex, triage, now, policy, subject) for one in lookup.unmatched),
        *(_judge_hit(hit, vex, triage, now, policy, subject) for hit in lookup.hits),
    ]
    order = list(Outcome)
    return tuple(sorted(judged, key=lambda one: (order.index(one.outcome), one.advisory)))


def _judge_data(lookup: Lookup, now: datetime, policy: Policy) -> Iterable[Judged]:
    how = "limpet release advisories --import DIR|ZIP|URL"
    if lookup.facts is None:
        reason = lookup.trouble or "there is no database of advisories"
        yield Judged(outcome=Outcome.INCONCLUSIVE, reason=reason, fix=how)
        return
    facts = lookup.facts
    if not facts.ecosystems or not facts.advisories:
        reason = "the database of advisories is empty"
        yield Judged(outcome=Outcome.INCONCLUSIVE, reason=reason, fix=how)
    if facts.refused_count:
        yield Judged(outcome=Outcome.INCONCLUSIVE, reason=_tell_refused(facts), fix=how)
    for name, one in sorted(facts.ecosystems.items()):
        if reason := find_staleness(name, one, now, policy):
            yield Judged(outcome=Outcome.INCONCLUSIVE, reason=reason, fix=how)


def _tell_refused(facts: StoreFacts) -> str:
    more = ", …" if facts.refused_count > len(facts.refused) else ""
    return (
        f"{facts.refused_count} entries of the dump could not be read: "
        f"{', '.join(facts.refused)}{more}"
    )


def find_staleness(name: str, one: EcosystemFacts, now: datetime, policy: Policy) -> str:
    """Why the gate does not believe the data of the ecosystem `name`; empty if it does."""
    if one.imported_at - now > _SKEW:
        return f"{name} was imported on {one.imported_at.date()}, in the future: a clock is wrong"
    if now - one.imported_at > policy.max_age:
        return (
            f"{name} was imported on {one.imported_at.date()}, over {policy.max_age.days} days ago"
        )
    if now - one.newest > policy.max_silence:
        return (
            f"the newest advisory of {name} is of {one.newest.date()}, over"
            f" {policy.max_silence.days} days ago: the dump is old"
        )
    return ""


def _judge_unmatched(
    one: Unmatched,
    vex: Sequence[VexStatement],
    triage: Triage,
    now: datetime,
    policy: Policy,
    subject: str,
) -> Judged:
    reason = f"{one.component.name} {one.component.version}: {one.detail}"
    if one.advisory:
        said = _find_excuse(one.names, one.component, vex, now, policy, subject)
        if said.excuse:
            return _excused(said.excuse, one.advisory, one.component, None)
        reason = f"{reason}{said.note}"
    elif one.why in _OWNABLE and (owned := _find_owned(triage.unmatched, one.component)):
        fault = _find_lapse(owned, now, policy)
        outcome = Outcome.INCONCLUSIVE if fault else Outcome.LISTED
        return Judged(
            outcome=outcome,
            reason=f"{reason}; {fault or owned.reason}",
            component=one.component,
            by=owned.owner,
            until=_end_of(owned),
        )
    return Judged(
        outcome=Outcome.INCONCLUSIVE,
        reason=reason,
        fix='see docs/advisories.md, "Inconclusive"',
        advisory=one.advisory,
        component=one.component,
    )


def _judge_hit(
    hit: Hit,
    vex: Sequence[VexStatement],
    triage: Triage,
    now: datetime,
    policy: Policy,
    subject: str,
) -> Judged:
    said = _find_excuse(hit.names, hit.component, vex, now, policy, subject)
    if said.excuse:
        return _excused(said.excuse, hit.advisory, hit.component, hit)
    blocked = _find_remedy(hit, said.action)
    if blocked:
        return Judged(
            outcome=Outcome.BLOCKS_FIXABLE,
            reason=f"{hit.summary or hit.advisory}{said.note}",
            fix=blocked,
            advisory=hit.advisory,
            component=hit.component,
            hit=hit,
        )
    entries = [one for one in triage.vulnerabilities if one.id in hit.names]
    owned = _find_owned(entries, hit.component)
    lapse = "nobody owns it" if owned is None else _find_lapse(owned, now, policy)
    note = owned.reason if owned and not lapse else lapse
    return Judged(
        outcome=Outcome.BLOCKS_UNOWNED if lapse else Outcome.LISTED,
        reason=f"{hit.summary or hit.advisory}; no fix is known; {note}{said.note}",
        fix="name an owner and a review date in vulnerabilities.toml" if lapse else "",
        advisory=hit.advisory,
        component=hit.component,
        hit=hit,
        by=owned.owner if owned else "",
        until=_end_of(owned) if owned else None,
    )


def _find_remedy(hit: Hit, action: str) -> str:
    if hit.fixed_versions:
        return f"update {hit.component.name} to {' or '.join(hit.fixed_versions[:4])}"
    if hit.workaround:
        return f"workaround: {hit.workaround}"
    return f"mitigation: {action}" if action else ""


@dataclass(frozen=True, slots=True)
class _Said:
    excuse: VexStatement | None = None
    action: str = ""
    note: str = ""


def _find_excuse(
    names: frozenset[str],
    component: Component,
    vex: Sequence[VexStatement],
    now: datetime,
    policy: Policy,
    subject: str,
) -> _Said:
    """What the latest statement about this vulnerability in this component says.

    Later statements replace earlier ones (OpenVEX 0.2.0, "The VEX Statement"). Of several of the
    same time none excuses unless all do: a contradiction excuses nothing.
    """
    named = [
        one
        for one in vex
        if one.names & names
        and component.purl
        and one.version == component.version
        and is_same_package(one.component, component.purl)
    ]
    about = [one for one in named if not one.product or is_about(one.product, subject)]
    if not about:
        others = {one.product for one in named}
        return _Said(note=f"; a statement is about {min(others)} only" if others else "")
    latest = max((one.at for one in about if one.at), default=None)
    last = [one for one in about if one.at is None or one.at == latest]
    actions = (one.action for one in last if one.status is VexStatus.AFFECTED and one.action)
    action = next(actions, "")
    for one in last:
        fault = find_fault(one, now=now, longest=policy.longest_excuse)
        if fault:
            return _Said(action=action, note=f"; the statement in {one.source} {fault}")
    return _Said(excuse=last[0])


def _excused(said: VexStatement, advisory: str, component: Component, hit: Hit | None) -> Judged:
    detail = f": {said.detail}" if said.detail else ""
    return Judged(
        outcome=Outcome.EXCUSED,
        reason=f"{said.status.value}, {said.justification}{detail} ({said.source})",
        advisory=advisory,
        component=component,
        hit=hit,
        by=said.author,
        until=said.expires,
    )


def _find_owned(entries: Iterable[_Entry], component: Component) -> _Entry | None:
    return next((one for one in entries if _is_component(one.component, component)), None)


def _is_component(stated: str, component: Component) -> bool:
    if not component.purl:
        return stated in (component.name, f"{component.name}@{component.version}")
    if not is_same_package(stated, component.purl):
        return False
    version = PackageURL.from_string(stated).version
    return not version or version == component.version


def _find_lapse(owned: Owned | OwnedComponent, now: datetime, policy: Policy) -> str:
    if _end_of(owned) <= now:
        return f"its review by {owned.owner} was due on {owned.review_by}"
    if _end_of(owned) - now > policy.longest_review:
        return f"its review on {owned.review_by} is over {policy.longest_review.days} days away"
    return ""


def _end_of(owned: Owned | OwnedComponent) -> datetime:
    """A date means its end, in UTC."""
    return datetime.combine(owned.review_by, time.max, UTC)
