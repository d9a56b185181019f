"""What the watch knows: entries, what a look saw, how an entry ends.

Owns the types. An entry is about one advisory in one component and version of one model: the same
advisory in a later version of the component is another entry.
"""

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from limpet.release.advisories import Judged, Outcome, StoreFacts

__all__ = [
    "Closing",
    "Entry",
    "FieldRelease",
    "Looked",
    "Seen",
    "Sight",
    "Trouble",
    "entry_id",
]


class Closing(enum.Enum):
    """How an entry ended."""

    FIXED = "fixed-by-release"  # the newest release has it no more
    EXCUSED = "excused"  # a VEX statement holds that it does not apply
    GONE = "advisory-gone"  # withdrawn, or its range was corrected
    UNSUPPORTED = "support-ended"  # and no release fixed it


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One known vulnerability of published releases. Times are UTC.

    `devices` run a release that has it, now; `most_devices` is the most that ever did since it is
    open, against which `half_at`, `most_at` and `all_at` (50, 90, 100 %) are measured.
    """

    id: str
    model: str
    advisory: str
    aliases: tuple[str, ...] = ()
    component: str  # package URL without version, or a name
    version: str
    summary: str = ""
    severity: str = "unrated"
    vector: str = ""
    fixable: bool = False
    fix: str = ""
    owner: str = ""
    opened_at: datetime
    releases: tuple[str, ...]  # versions that have it, as of the last look that saw it
    devices: int = 0
    most_devices: int = 0
    seen_at: datetime
    closed_at: datetime | None = None
    closing: Closing | None = None
    fixed_by: str = ""  # version
    fix_published_at: datetime | None = None
    half_at: datetime | None = None
    most_at: datetime | None = None
    all_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing has ended it yet."""
        return self.closing is None

    @property
    def time_to_fix(self) -> timedelta | None:
        """From opening to the release that fixes it; zero if that was there before."""
        if self.fix_published_at is None:
            return None
        return max(self.fix_published_at - self.opened_at, timedelta())


def entry_id(model: str, advisory: str, component: str, version: str) -> str:
    """The same for the same thing at every look; hexadecimal."""
    text = "\0".join((model, advisory, component, version))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRelease:
    """A published release that is looked at."""

    model: str
    version: str
    sbom: str  # SHA-256; empty: none is named
    published_at: datetime
    newest: bool  # of those of its model that are offered


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a look is not the whole truth."""

    reason: str  # a stable word, which is published
    message: str  # for the vendor's people
    model: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the look saw of one release; `judged` is empty and `whole` false without its SBOM."""

    release: FieldRelease
    components: int
    judged: tuple[Judged, ...]
    whole: bool  # all components were looked up, in whole and fresh data

    @property
    def hits(self) -> tuple[Judged, ...]:
        """The vulnerabilities that nothing excuses."""
        excused = (Outcome.EXCUSED, Outcome.INCONCLUSIVE)
        return tuple(one for one in self.judged if one.hit and one.outcome not in excused)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """All that one look saw."""

    now: datetime
    seen: tuple[Seen, ...]
    devices: Mapping[tuple[str, str], int]  # by model and running version
    unsupported: frozenset[str] = frozenset()  # models whose support has ended
    troubles: tuple[Trouble, ...] = ()
    facts: StoreFacts | None = None

    @property
    def conclusive(self) -> bool:
        """Whether "nothing was found" means that there is nothing known."""
        return not self.troubles and all(one.whole for one in self.seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The result of one look."""

    at: datetime
    conclusive: bool
    troubles: tuple[Trouble, ...]
    seen: tuple[Seen, ...]
    entries: tuple[Entry, ...]  # all, open ones first
    opened: tuple[str, ...] = ()  # ids that this look opened, or opened again
    closed: tuple[str, ...] = ()
    undelivered: int = 0  # notes that a webhook did not take yet

    @property
    def exit_code(self) -> int:
        """3: inconclusive; 1: an open entry can be fixed; 0."""
        if not self.conclusive:
            return 3
        return int(any(one.is_open and one.fixable for one in self.entries))
