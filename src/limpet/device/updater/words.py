"""Why a release waits, in words with figures, as the owner reads them: on the page, by the API, in
the terminal.

Pure. Owns one sentence for each reason that `limpet.firmware.decision` and the transfer
(`limpet.device.updater.holding`) can give; a test holds the table against them.
"""

from collections.abc import Mapping

from limpet.device.link.messages import Held
from limpet.device.updater.holding import CONSENT_ENDS
from limpet.device.updater.progress import Waiting
from limpet.firmware.decision import Hold

__all__ = ["SENTENCES", "describe_waiting", "say_hold"]

_CHARACTERS = 1024

SENTENCES: Mapping[str, str] = {
    "paused": "held: {detail}",
    "halted": "held: {detail}, because it may be faulty",
    "phase-in": "held: phase-in, {detail}",
    "ramp": "held: phase-in, {detail}, as was signed with the release",
    "failed-before": "held: needs your consent, {detail}",
    "interface-change": "held: {detail}",
    "automatic-off": "held: needs your consent, {detail}",
    "needs-consent": "held: needs your consent; {detail}",
    "postponed": "held: postponed {detail}",
    "outside-window": "held: outside window {detail}",
    "metered": "held: {detail}",
    "file-refused": "held: {detail}",
    "day-limit": "held: {detail}",
    "low-disk": "held: {detail}",
}
"""`detail` is the hold's own, with the figures."""


def say_hold(hold: Hold) -> str:
    """The sentence."""
    return SENTENCES.get(hold.reason, "held: {detail}").format(detail=hold.detail)[:_CHARACTERS]


def describe_waiting(waiting: Waiting, hold: Hold | None) -> Held:
    """What holds the release, as the owner is told; `hold` as the last check found it, None if
    there was no check since the start."""
    if hold is None:
        hold = Hold(waiting.reason, "")
        text = f"held: {waiting.reason} at the last check; the next one looks again"
    else:
        text = say_hold(hold)
    return Held(
        reason=hold.reason,
        text=text,
        since=waiting.since,
        until=hold.until,
        consent_ends=hold.reason in CONSENT_ENDS,
    )
