"""One look: read the field, look every component up, decide, write it down, say that it was done.

Owns the order, which is right at every instant: the database first, in one transaction; then the
public record, which is made from it; then the notes to a webhook. A look that is killed in between
was made, and the next one publishes and delivers what is left.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from limpet.errors import LimpetError, Unavailable
from limpet.release.advisories import (
    AdvisoryStore,
    Judged,
    Lookup,
    Outcome,
    Policy,
    Triage,
    VexStatement,
    judge_vulnerabilities,
    match,
)
from limpet.release.sbom import Component, Sbom

from ._decide import decide_entries
from ._field import Field, load_field
from ._record import make_record, write_record
from ._store import WatchStore
from ._types import Entry, FieldRelease, Looked, Seen, Sight, Trouble
from ._webhook import Webhook, deliver, describe

__all__ = ["UNMATCHED", "WATCH_DATABASE", "LookOrder", "Statements", "look"]

WATCH_DATABASE = "watch.sqlite"
_LOCK = "watch.lock"
SKEW = timedelta(minutes=5)
UNMATCHED = "component-unmatched"
"""The reason of a trouble: there are components that no advisories are known for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """What the vendor says of one product: VEX, and who owns what has no fix."""

    vex: tuple[VexStatement, ...] = ()
    triage: Triage = field(default_factory=Triage)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookOrder:
    """Where to look, and by what."""

    vendor: Path
    advisories: Path
    statements: Mapping[str, Statements]  # by model
    webhook: Webhook | None = None
    every_hours: float | None = None
    unsafe_clock_was_wrong: bool = False  # take a time before the last look's
    policy: Policy = field(default_factory=Policy)


def _silent(note: str) -> None:
    """Nobody watches."""


def look(
    order: LookOrder,
    *,
    clock: Callable[[], datetime],
    progress: Callable[[str], None] = _silent,
    after: Callable[[str], None] = _silent,
) -> Looked:
    """Make one look; `after` is told each step that is durable (tests cut there).

    A missing or old database of advisories and a damaged bill of materials make it inconclusive.
    Raises `Unavailable` or `Rejected` where the vendor's directory itself cannot be read, another
    look is under way, or the clock went back; then nothing has changed.
    """
    from limpet.vendor.home import hold_lock, open_home

    home = open_home(order.vendor)
    with (
        hold_lock(home.online / _LOCK, seconds=1.0),
        WatchStore(home.online / WATCH_DATABASE) as store,
    ):
        now = _verify_clock(clock(), store.last_look(), order)
        found = load_field(order.vendor, clock=clock, note=progress)
        sight = _see(found, order, now, progress)
        before = store.entries()
        entries = decide_entries(before, sight)
        looked = _compare(before, entries, sight)
        named = {one.id: one for one in entries}
        owed: Sequence[tuple[str, bytes]] = ()
        if order.webhook is not None:
            owed = [(key, describe(named[key], at=now)) for key in looked.opened]
        store.record(entries, at=now, conclusive=sight.conclusive, owed=owed)
        after("recorded")
        record = make_record(sight, entries, every_hours=order.every_hours)
        write_record(home.public, record)
        after("published")
        if order.webhook is not None:
            deliver(order.webhook, store, clock=clock, after=after)
        return replace(looked, undelivered=len(store.owed()) + store.given_up())


def _verify_clock(now: datetime, last: datetime | None, order: LookOrder) -> datetime:
    if last is not None and now < last - SKEW and not order.unsafe_clock_was_wrong:
        raise Unavailable(
            f"this computer's clock says {now:%Y-%m-%d %H:%M}, but the last look was on"
            f" {last:%Y-%m-%d %H:%M} UTC",
            hint="set the clock; if that of the last look was the wrong one,"
            " say --unsafe-clock-was-wrong once",
            reason="clock",
        )
    return now


def _see(found: Field, order: LookOrder, now: datetime, progress: Callable[[str], None]) -> Sight:
    troubles = list(found.troubles)
    lookups: Mapping[tuple[str, str], Lookup] = {}
    facts = None
    try:
        progress("opening the advisories")
        with AdvisoryStore.open(order.advisories) as store:
            facts = store.facts
            lookups = _look_up(store, found.sboms, progress)
    except LimpetError as error:
        troubles.append(Trouble("advisories-missing", error.message))
    if not found.releases and not found.unsupported:
        troubles.append(Trouble("no-release", "no release of a supported model is published"))
    seen = tuple(
        _judge(one, found.sboms.get((one.model, one.version)), lookups, order, now)
        for one in found.releases
    )
    # About the data as a whole: the same of every release.
    whole = {j.reason for one in seen for j in one.judged if _is_about_data(j)} if facts else set()
    troubles += [Trouble("advisories-stale", reason) for reason in sorted(whole)]
    for one in seen:
        unknown = [j for j in one.judged if j.outcome is Outcome.INCONCLUSIVE and j.component]
        if unknown:
            text = f"{len(unknown)} components: {unknown[0].reason}"
            version = one.release.version
            troubles.append(Trouble(UNMATCHED, text, one.release.model, version))
    return Sight(
        now=now,
        seen=seen,
        devices=found.devices,
        unsupported=found.unsupported,
        troubles=tuple(troubles),
        facts=facts,
    )


def _is_about_data(judged: Judged) -> bool:
    return judged.outcome is Outcome.INCONCLUSIVE and judged.component is None


def _identity(component: Component) -> tuple[str, str, str, str]:
    return component.purl, component.name, component.version, component.origin.value


def _look_up(
    store: AdvisoryStore,
    sboms: Mapping[tuple[str, str], Sbom],
    progress: Callable[[str], None],
) -> dict[tuple[str, str], Lookup]:
    """Each component once, however many releases carry it."""
    every = {_identity(part): part for sbom in sboms.values() for part in sbom.components}
    progress(f"{len(every):,} components")
    matched = match(store, tuple(every.values()))
    lookups = {}
    for key, sbom in sboms.items():
        mine = {_identity(part) for part in sbom.components}
        lookups[key] = replace(
            matched,
            hits=tuple(one for one in matched.hits if _identity(one.component) in mine),
            unmatched=tuple(one for one in matched.unmatched if _identity(one.component) in mine),
            components=len(sbom.components),
        )
    return lookups


def _judge(
    release: FieldRelease,
    sbom: Sbom | None,
    lookups: Mapping[tuple[str, str], Lookup],
    order: LookOrder,
    now: datetime,
) -> Seen:
    lookup = lookups.get((release.model, release.version))
    if sbom is None or lookup is None:
        parts = len(sbom.components) if sbom else 0
        return Seen(release=release, components=parts, judged=(), whole=False)
    said = order.statements.get(release.model, Statements())
    judged = judge_vulnerabilities(
        lookup, said.vex, said.triage, now, order.policy, subject=sbom.subject.purl
    )
    whole = all(one.outcome is not Outcome.INCONCLUSIVE for one in judged)
    return Seen(release=release, components=lookup.components, judged=judged, whole=whole)


def _compare(before: Sequence[Entry], after: Sequence[Entry], sight: Sight) -> Looked:
    known = {one.id: one for one in before}
    opened = [
        one.id
        for one in after
        if one.id not in known or (one.is_open and not known[one.id].is_open)
    ]
    closed = [
        one.id for one in after if not one.is_open and one.id in known and known[one.id].is_open
    ]
    return Looked(
        at=sight.now,
        conclusive=sight.conclusive,
        troubles=sight.troubles,
        seen=sight.seen,
        entries=tuple(after),
        opened=tuple(opened),
        closed=tuple(closed),
    )
