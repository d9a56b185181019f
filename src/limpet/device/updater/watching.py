"""Watching a slot on trial: asks the app and the vendor until the rules give a verdict.

Owns the asking and its pace. The rules are in `limpet.device.updater.trial`; boot
ends a trial that nobody judges.
"""

from collections.abc import Awaitable, Callable

from limpet.device.link import messages as m
from limpet.device.updater.trial import Trial, Verdict
from limpet.errors import Unavailable

__all__ = ["hand_over", "watch_trial"]

OBSERVE_SECONDS = 0.5
PROBE_SECONDS = 2.0
_RETRY_SECONDS = 1.0


async def watch_trial(
    trial: Trial,
    *,
    health: Callable[[], Awaitable[m.Reply]],
    reach: Callable[[], Awaitable[str]],
    monotonic: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> Verdict:
    """The verdict on the running slot. `reach` says why the vendor cannot be reached, or ""."""
    next_probe = trial.begun
    while True:
        if not trial.reached and monotonic() >= next_probe:
            trial.vendor_fault = await reach()
            trial.reached = not trial.vendor_fault
            next_probe = monotonic() + PROBE_SECONDS
        healthy, reason = await _ask(health)
        verdict = trial.observe(monotonic(), healthy=healthy, reason=reason)
        if verdict is not None:
            return verdict
        await sleep(OBSERVE_SECONDS)


async def hand_over(
    verdict: Verdict,
    *,
    supervisor: Callable[[m.Request], Awaitable[m.Reply]],
    sleep: Callable[[float], Awaitable[None]],
    warn: Callable[[str, str], None],
) -> None:
    """Tell boot the verdict, until the supervisor has taken it."""
    request: m.Request = m.ConfirmTrial()
    if not verdict.passed:
        warn("trial-failed", verdict.reason)
        request = m.RejectTrial(reason=verdict.reason[:1024])
    while True:
        try:
            await supervisor(request)
            return
        except Unavailable as error:  # boot's own deadline ends this
            warn("trial-verdict-waits", str(error))
            await sleep(_RETRY_SECONDS)


async def _ask(health: Callable[[], Awaitable[m.Reply]]) -> tuple[bool, str]:
    try:
        reply = await health()
    except Unavailable as error:
        return False, f"app: {error.message}"
    if isinstance(reply, m.Health):
        return reply.healthy, reply.reason
    return False, f"app: {getattr(reply, 'message', '') or 'does not tell its health'}"
