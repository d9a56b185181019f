"""Small phrases that several pages share: durations, sizes, dates, the support period.

Owns their wording. Pure.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from limpet.vendor.pages.document import Code, Run
from limpet.vendor.pages.dossier import Dossier
from limpet.wire.support import AfterSupport

__all__ = ["Standing", "decide_standing", "duration", "phrase", "short", "size"]

AFTER = {
    AfterSupport.KEEPS_WORKING_LOCALLY.value: "The device keeps working on your own network.",
    AfterSupport.STOPS_REMOTE_FUNCTIONS.value: "Functions over the Internet stop.",
}
_SHOWN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The commitment as a page says it (draft-moore, 5.1)."""

    until: date
    over: bool
    text: str
    after: str
    signed: bool


def decide_standing(dossier: Dossier, now: datetime) -> Standing:
    """The signed statement goes before the design file's own commitment."""
    statement, promised = dossier.statement, dossier.product.support
    if statement is not None:
        return Standing(
            until=statement.until.astimezone(UTC).date(),
            over=now >= statement.until,
            text=statement.text,
            after=AFTER[statement.after.value],
            signed=True,
        )
    return Standing(
        until=promised.until,
        over=now.date() > promised.until,
        text=promised.text,
        after=AFTER[promised.after.value],
        signed=False,
    )


def duration(seconds: int) -> str:
    """In the largest unit that divides it: "6 hours", "1 minute"."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, rest = divmod(seconds, length)
        if count and not rest:
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "no time"


def size(octets: int) -> str:
    """With three digits: "1.2 MB" (a million bytes)."""
    amount = float(octets)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.3g} {unit}" if amount < 1000 else f"{amount:.0f} {unit}"
        amount /= 1000
    return ""


def short(digest: str) -> Run:
    """The beginning of a hash, for a table; the whole one stands where it is needed."""
    return Code(f"{digest[:_SHOWN]}…") if len(digest) > _SHOWN else Code(digest)


def phrase(value: str) -> str:
    """A word of the design file, for people: "client-certificate" as "client certificate"."""
    return value.replace("-", " ")
