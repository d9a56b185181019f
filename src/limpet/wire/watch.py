"""The public record of the watch over published releases: that it is kept, not what it found.

Owns the form. An auditor and the public page read it; it names no vulnerability, because one that
is not fixed yet is nobody's business but the vendor's.
"""

from typing import Annotated, Literal

from msgspec import Meta

from limpet.wire.codec import Message, Moment
from limpet.wire.release import Digest, ModelName, Version

__all__ = ["WATCH_BYTES", "WATCH_FILE", "WatchRecord", "WatchedEcosystem", "WatchedRelease"]

WATCH_FILE = "watch/watch.json"
"""Where it lies in the vendor's `public` directory, and below the service's URL."""

WATCH_BYTES = 4 << 20

Count = Annotated[int, Meta(ge=0)]
Line = Annotated[str, Meta(max_length=200)]


class WatchedRelease(Message, frozen=True, kw_only=True):
    """A release that was looked at, or was to be."""

    model: ModelName
    version: Version
    components: Count
    sbom: Digest | None  # none is published, or it is not the one that was signed
    looked_up: bool  # every component of it, in whole and fresh data


class WatchedEcosystem(Message, frozen=True, kw_only=True):
    """Which data the look used."""

    name: Line
    advisories: Count
    newest: Moment
    imported_at: Moment


class WatchRecord(Message, frozen=True, kw_only=True):
    """`watch.json`: the last look, and what stands open in numbers."""

    spec: Literal["limpet-watch-1"] = "limpet-watch-1"
    looked_at: Moment  # UTC
    every_hours: Annotated[float, Meta(ge=0, le=8784)] | None = None  # none: by another's timer
    conclusive: bool  # all releases, all components, in whole and fresh data
    troubles: Annotated[tuple[Line, ...], Meta(max_length=64)] = ()  # stable words, why not
    releases: Annotated[tuple[WatchedRelease, ...], Meta(max_length=10_000)]
    advisories: Count  # in the database
    digest: Digest | None  # of the database
    ecosystems: Annotated[tuple[WatchedEcosystem, ...], Meta(max_length=256)] = ()
    open: dict[Line, Count]  # entries by severity
    open_fixable: Count  # of these: a fixed version, a workaround or a mitigation is known
    oldest_fixable_at: Moment | None = None  # since when the oldest of them is open
    closed: dict[Line, Count]  # entries by how they ended
    longest_days_to_fix: Annotated[float, Meta(ge=0)] | None = None  # to the release, once closed
