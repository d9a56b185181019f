"""What the owner is told of updates and support: the pure making of `UpdateStatus`.

Owns the words. The vendor's signed statement goes before the design file's dates.
"""

from datetime import datetime
from typing import Literal

from limpet.device.link import messages as m
from limpet.device.updater.check import CheckResult, Outcome
from limpet.device.updater.device import Device
from limpet.device.updater.policy import Postponement, hold_limit, without_password
from limpet.device.updater.progress import Progress
from limpet.device.updater.support import Phase, SupportStanding
from limpet.device.updater.trial import Trial
from limpet.device.updater.words import describe_waiting
from limpet.firmware.decision import FAILED_BEFORE

__all__ = ["State", "describe_standing"]

State = Literal["idle", "checking", "held", "downloading", "installing", "trial"]
_REASON_CHARACTERS = 1024


def describe_standing(
    device: Device,
    *,
    policy: m.UpdatePolicy,
    postponement: Postponement | None,
    progress: Progress,
    state: State,
    fetching: m.Fetching | None,
    result: CheckResult | None,
    trial: Trial | None,
    boot: m.BootRecord,
    support: SupportStanding,
    app_rests: bool,
    next_check: datetime | None,
    now: datetime,
) -> m.UpdateStatus:
    """The status at `now` (UTC)."""
    # What was held before a start is held until the first check says otherwise.
    waiting = progress.waiting if state in ("idle", "held") else None
    if result is not None and result.outcome is not Outcome.HELD:
        waiting = None
    is_under_way = state not in ("idle", "held", "trial")  # the last reason may be none any more
    postponed = postponement.until if postponement is not None else None
    since = progress.waiting_since
    return m.UpdateStatus(
        policy=without_password(policy),
        running=device.description.version,
        slot=device.slot,
        available=result.available if result else waiting.version if waiting else "",
        state="held" if waiting else state,
        reason=_under_way(app_rests) if is_under_way else _reason(result, trial, boot),
        held=describe_waiting(waiting, result.hold if result else None) if waiting else None,
        fetching=fetching,
        postponed_until=postponed if postponed is not None and postponed > now else None,
        hold_until=hold_limit(device.product.update, since) if since is not None else None,
        last_check=progress.last_check,
        next_check=next_check,
        support_until=support.until,
        support_over=support.phase is Phase.OVER,
        support_after=support.after.value,
        support_notice=support.notice,
        support_text=support.text,
    )


def _under_way(app_rests: bool) -> str:
    return "the app rests meanwhile: it leaves no room on the disk" if app_rests else ""


def _reason(result: CheckResult | None, trial: Trial | None, boot: m.BootRecord) -> str:
    return _whole_reason(result, trial, boot)[:_REASON_CHARACTERS]


def _whole_reason(result: CheckResult | None, trial: Trial | None, boot: m.BootRecord) -> str:
    if trial is not None:
        lost = f"; no way back for the app's state: {boot.no_way_back}" if boot.no_way_back else ""
        return f"on trial: {trial.open_clauses or 'healthy, must stay so for a while'}{lost}"
    fell_back = f"{boot.fell_back_from} failed: {boot.fell_back_reason}"
    if result is None or not (result.reason or result.detail):
        return fell_back if result is None and boot.fell_back_from else ""
    if result.reason == FAILED_BEFORE and result.manifest_sha256 == boot.fell_back_manifest:
        return f"{FAILED_BEFORE}: {fell_back}"
    return f"{result.reason}: {result.detail}" if result.reason else result.detail
