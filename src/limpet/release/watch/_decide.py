"""What a look makes of the entries. Pure.

For each entry, in this order:

1. Seen in a release that is looked at: open it, or bring releases, devices and severity up to date.
2. The newest release of its model has it again: a closed one is opened again, its age kept.
3. The newest release was looked up whole, and has that advisory for that package no more: closed,
   with the release from which on it is gone.
4. Its model's support ended while it was open: closed, and counted as left.

Without whole and fresh data, or without the newest release's bill of materials, 1 and 2 still
hold, since what was found was found; nothing is closed, since what was not found proves nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
from packageurl import PackageURL

from limpet.release.advisories import Judged, Outcome
from limpet.release.cvss import severity_of
from limpet.wire.release import version_key

from ._types import Closing, Entry, Seen, Sight, entry_id

__all__ = ["decide_entries"]

_TEXT = 1000


def decide_entries(before: Sequence[Entry], sight: Sight) -> tuple[Entry, ...]:
    """Every entry as it stands after the look; open ones first, then by model and advisory."""
    fresh: dict[str, Entry] = {}
    for seen in sight.seen:
        for judged in seen.hits:
            one = _entry(judged, seen, sight.now)
            fresh[one.id] = _add(fresh[one.id], one) if one.id in fresh else one
    known = {one.id: _not_later(one, sight.now) for one in before}
    after = [
        _judge(_join(known.get(key), fresh.get(key), sight), key in fresh, sight)
        for key in {**known, **fresh}
    ]
    return tuple(sorted(after, key=lambda one: (not one.is_open, one.model, one.advisory, one.id)))


def _not_later(entry: Entry, now: datetime) -> Entry:
    """What a clock dated that was ahead, is of now: an age is never negative."""
    late = {
        name: min(at, now)
        for name in ("opened_at", "seen_at", "closed_at", "half_at", "most_at", "all_at")
        if (at := getattr(entry, name)) is not None and at > now
    }
    return msgspec.structs.replace(entry, **late) if late else entry


def _entry(judged: Judged, seen: Seen, now: datetime) -> Entry:
    assert judged.component is not None  # noqa: S101 - `Seen.hits`
    assert judged.hit is not None  # noqa: S101
    package = package_of(judged.component.purl, judged.component.name)
    model, version = seen.release.model, judged.component.version
    return Entry(
        id=entry_id(model, judged.advisory, package, version),
        model=model,
        advisory=_line(judged.advisory),
        aliases=tuple(_line(one) for one in judged.hit.aliases[:32]),
        component=_line(package),
        version=_line(version),
        summary=_line(judged.hit.summary),
        severity=severity_of(judged.hit.severity),
        vector=_line(judged.hit.severity),
        fixable=judged.outcome is Outcome.BLOCKS_FIXABLE,
        fix=_line(judged.fix) if judged.outcome is Outcome.BLOCKS_FIXABLE else "",
        owner=_line(judged.by),
        opened_at=now,
        releases=(seen.release.version,),
        seen_at=now,
    )


def _add(one: Entry, other: Entry) -> Entry:
    """The same in another release, where a statement may say something else of it."""
    return msgspec.structs.replace(
        one,
        releases=_sorted({*one.releases, *other.releases}),
        fixable=one.fixable or other.fixable,
        fix=one.fix or other.fix,
        owner=one.owner or other.owner,
    )


def _join(known: Entry | None, fresh: Entry | None, sight: Sight) -> Entry:
    """What is seen now, with the history; and the releases that still have it, unseen."""
    entry = known or fresh
    assert entry is not None  # noqa: S101 - one of the two is what this is called for
    unseen = {one for one in entry.releases if _may_have_it(entry.model, one, sight)}
    exposed = {*unseen, *(fresh.releases if fresh else ())}
    devices = sum(sight.devices.get((entry.model, version), 0) for version in exposed)
    if fresh is not None:
        names = ("aliases", "summary", "severity", "vector", "fixable", "fix", "owner", "seen_at")
        entry = msgspec.structs.replace(entry, **{name: getattr(fresh, name) for name in names})
    return msgspec.structs.replace(
        entry,
        releases=_sorted(exposed or entry.releases),
        devices=devices,
        most_devices=max(entry.most_devices, devices),
    )


def _may_have_it(model: str, version: str, sight: Sight) -> bool:
    """Whether a release that had it cannot be said to be without it."""
    for one in sight.seen:
        if (one.release.model, one.release.version) == (model, version):
            return not one.whole
    # Withdrawn or revoked: nobody cares any more, but for who still runs it.
    return sight.devices.get((model, version), 0) > 0


def _sorted(versions: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(versions, key=version_key))


def _judge(entry: Entry, seen: bool, sight: Sight) -> Entry:
    if entry.model in sight.unsupported:
        return _close(entry, Closing.UNSUPPORTED, sight.now) if entry.is_open else entry
    if entry.fixed_by in entry.releases:
        entry = _reopen(entry)  # the data changed: that release has it after all
    mine = [one for one in sight.seen if one.release.model == entry.model]  # by version
    newest = next((one for one in mine if one.release.newest), None)
    if newest is None:
        return entry
    if _has(newest, entry):
        return entry if entry.is_open or not seen else _reopen(entry)
    if entry.is_open or (seen and entry.closing is not Closing.FIXED):
        # What could not be looked up may be it: nothing is closed on half the truth.
        if not newest.whole or sight.facts is None:
            return entry
        entry = _end(entry, mine, newest, sight)
    return _spread(entry, sight.now)


def _has(seen: Seen, entry: Entry) -> bool:
    """Whether the release has that advisory for that package, in any version of it."""
    return any(
        one.advisory == entry.advisory
        and one.component is not None
        and package_of(one.component.purl, one.component.name) == entry.component
        for one in seen.hits
    )


def _end(entry: Entry, mine: Sequence[Seen], newest: Seen, sight: Sight) -> Entry:
    if newest.release.version in entry.releases:
        # The release is the same, the data are not.
        excused = any(
            one.outcome is Outcome.EXCUSED and one.advisory == entry.advisory
            for one in newest.judged
        )
        return _close(entry, Closing.EXCUSED if excused else Closing.GONE, sight.now)
    fixing = newest
    for one in reversed(mine[: mine.index(newest)]):
        if one.release.version in entry.releases or _has(one, entry):
            break
        fixing = one
    closed = _close(entry, Closing.FIXED, sight.now)
    return msgspec.structs.replace(
        closed,
        fixed_by=fixing.release.version,
        fix_published_at=min(fixing.release.published_at, sight.now),
    )


def _close(entry: Entry, closing: Closing, now: datetime) -> Entry:
    return msgspec.structs.replace(entry, closing=closing, closed_at=now)


def _reopen(entry: Entry) -> Entry:
    return msgspec.structs.replace(
        entry,
        closing=None,
        closed_at=None,
        fixed_by="",
        fix_published_at=None,
        half_at=None,
        most_at=None,
        all_at=None,
    )


def _spread(entry: Entry, now: datetime) -> Entry:
    """The times at which 50, 90 and 100 % of the exposed devices had left it, once each."""
    if entry.closing is not Closing.FIXED or not entry.most_devices:
        return entry
    left = entry.most_devices - entry.devices
    marks: Mapping[str, int] = {"half_at": 50, "most_at": 90, "all_at": 100}
    reached = {
        name: now
        for name, percent in marks.items()
        if getattr(entry, name) is None and left * 100 >= percent * entry.most_devices
    }
    return msgspec.structs.replace(entry, **reached) if reached else entry


def package_of(purl: str, name: str) -> str:
    """The package without its version; the name of what has no package URL."""
    try:
        found = PackageURL.from_string(purl)
    except ValueError:
        return name
    bare = PackageURL(type=found.type, namespace=found.namespace, name=found.name)
    return bare.to_string()


def _line(text: str) -> str:
    """What others wrote, on one line and bounded: no control character reaches a table or a log."""
    printable: Iterable[str] = (one if one.isprintable() else " " for one in text[:_TEXT])
    return "".join(printable).strip()
