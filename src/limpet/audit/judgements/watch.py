"""What the record of the vendor's watch shows. Pure.

Owns the bounds. A record that is there and bad is a failure; one that is not there is nothing
known.
"""

from datetime import datetime, timedelta

from limpet.audit.finding import Finding, failed, passed, undetermined
from limpet.audit.instruments.repository import Repository
from limpet.wire.rollout import PlanState
from limpet.wire.watch import WatchRecord

__all__ = ["LONGEST_OPEN", "OLDEST_DATA", "OLDEST_LOOK", "judge_fixes", "judge_looks"]

OLDEST_LOOK = timedelta(days=8)
"""Once a week, and a day late."""

OLDEST_DATA = timedelta(days=8)  # since a dump of an ecosystem was imported, at the look
LONGEST_SILENCE = timedelta(days=30)  # since its newest advisory: an old dump is no new one
LONGEST_OPEN = timedelta(days=90)
"""How long what can be fixed may be open: the days that disclosure is commonly held back."""

_SKEW = timedelta(hours=1)


def judge_looks(record: WatchRecord, repository: Repository, now: datetime) -> Finding:
    """Pass if the last look is recent, in fresh data, conclusive, and saw the newest releases."""
    if record.looked_at - now > _SKEW:
        return failed(f"the last look is recorded on {record.looked_at:%Y-%m-%d}, in the future")
    if now - record.looked_at > OLDEST_LOOK:
        days = OLDEST_LOOK.days
        return failed(f"the last look was on {record.looked_at:%Y-%m-%d}, over {days} days ago")
    if fault := _find_old_data(record):
        return failed(fault)
    if not record.conclusive:
        return failed(f"the last look was inconclusive: {', '.join(record.troubles)[:300]}")
    withdrawn = {
        (plan.model, plan.release.version)
        for plan in repository.plans
        if plan.release is not None and plan.state is PlanState.WITHDRAWN
    }
    offered = [one for one in repository.releases if (one.model, one.version) not in withdrawn]
    newest = {one.model: one.version for one in offered}  # they come by version
    if not newest:
        return undetermined("no release is offered")
    looked = {(one.model, one.version): one for one in record.releases if one.looked_up}
    missing = [f"{model} {one}" for model, one in newest.items() if (model, one) not in looked]
    if missing:
        return failed(f"the last look did not see {', '.join(missing[:4])}")
    parts = sum(looked[one].components for one in newest.items())
    return passed(
        f"{len(looked)} releases were looked at on {record.looked_at:%Y-%m-%d}, the newest of"
        f" {parts} components, in {record.advisories:,} advisories"
    )


def _find_old_data(record: WatchRecord) -> str:
    if record.digest is None or not record.ecosystems:
        return "the last look had no database of advisories"
    for one in record.ecosystems:
        if record.looked_at - one.imported_at > OLDEST_DATA:
            return f"the advisories of {one.name} were of {one.imported_at:%Y-%m-%d} at that look"
        if record.looked_at - one.newest > LONGEST_SILENCE:
            return f"the newest advisory of {one.name} was of {one.newest:%Y-%m-%d} at that look"
    return ""


def judge_fixes(record: WatchRecord, now: datetime) -> Finding:
    """Pass if nothing that can be fixed is open too long, and nothing was left unfixed."""
    left = record.closed.get("left-unfixed", 0)
    if left:
        return failed(f"support ended with {left} vulnerabilities open that could be fixed")
    if record.open_fixable:
        since = record.oldest_fixable_at
        if since is None or now - since > LONGEST_OPEN:
            when = f" since {since:%Y-%m-%d}" if since else ""
            return failed(
                f"{record.open_fixable} vulnerabilities are open that can be fixed, the oldest"
                f"{when}: over {LONGEST_OPEN.days} days"
            )
    fixed = record.closed.get("fixed-by-release", 0)
    took = ""
    if record.longest_days_to_fix is not None:
        took = f", the slowest after {record.longest_days_to_fix:g} days"
    waiting = f"{record.open_fixable} wait for a fix, none over {LONGEST_OPEN.days} days"
    return passed(f"{fixed} vulnerabilities were fixed by a release{took}; {waiting}")
