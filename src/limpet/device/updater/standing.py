"""What the owner is told of updates and support: the pure making of `UpdateStatus`.

Owns the words. The vendor's signed statement goes before the design file's dates.
"""

from datetime import UTC, datetime, time
from typing import Literal

from limpet.device.link import messages as m
from limpet.device.updater.check import CheckResult
from limpet.device.updater.device import Device
from limpet.device.updater.trial import Trial
from limpet.firmware.decision import FAILED_BEFORE
from limpet.wire.support import SupportStatement

__all__ = ["State", "describe_standing"]

State = Literal["idle", "checking", "held", "downloading", "installing", "trial"]
_REASON_CHARACTERS = 1024


def describe_standing(
    device: Device,
    *,
    policy: m.UpdatePolicy,
    state: State,
    result: CheckResult | None,
    trial: Trial | None,
    boot: m.BootRecord,
    support: SupportStatement | None,
    last_check: datetime | None,
    next_check: datetime | None,
    now: datetime,
) -> m.UpdateStatus:
    """The status at `now` (UTC)."""
    promised = device.product.support
    until = datetime.combine(promised.until, time(23, 59, 59), UTC)
    text = promised.text
    if support is not None:
        until, text = support.until, support.text
    return m.UpdateStatus(
        policy=policy,
        running=device.description.version,
        slot=device.slot,
        available=result.available if result else "",
        state=state,
        reason=_reason(result, trial, boot)[:_REASON_CHARACTERS],
        last_check=last_check,
        next_check=next_check,
        support_until=until,
        support_over=now > until,
        support_text=text,
    )


def _reason(result: CheckResult | None, trial: Trial | None, boot: m.BootRecord) -> str:
    if trial is not None:
        return f"on trial: {trial.open_clauses or 'healthy, must stay so for a while'}"
    fell_back = f"{boot.fell_back_from} failed: {boot.fell_back_reason}"
    if result is None or not (result.reason or result.detail):
        return fell_back if result is None and boot.fell_back_from else ""
    if result.reason == FAILED_BEFORE and result.manifest_sha256 == boot.fell_back_manifest:
        return f"{FAILED_BEFORE}: {fell_back}"
    return f"{result.reason}: {result.detail}" if result.reason else result.detail
