"""How the device bore guessing, floods and hostile input: judgements over what it answered.

Pure. The bounds are what limpet promises (docs/authentication.md), with room for a
busy machine.
"""

from collections.abc import Sequence

from limpet.audit.finding import Finding, failed, passed, undetermined
from limpet.audit.instruments.guessing import Guess, Guesses
from limpet.audit.instruments.hostile import Ordeal
from limpet.audit.instruments.load import Load
from limpet.audit.instruments.sockets import Echo

__all__ = [
    "judge_amplification",
    "judge_guesses",
    "judge_guesses_spread",
    "judge_load",
    "judge_ordeals",
]

MAX_CHECKED_ONE_SOURCE = 10  # NIST SP 800-63B-4, 3.2.2 allows 100 in all; a device can be stricter
MAX_CHECKED_ALL = 20  # from many sources together, at once
WORST_SECONDS = 2.0  # one request of the honest client, on a machine that is itself the attacker
MEDIAN_SECONDS = 0.5
LINK_FACTOR = 3.0  # a question for a service, with the question again and one pointer


def judge_guesses(guesses: Guesses) -> Finding:
    """Pass if the device soon stopped checking guesses from one source (R2.2.1)."""
    tried = guesses.one_source
    if opened := [one for one in tried if one.status < 300]:
        return failed(f"{len(opened)} of {len(tried)} random {guesses.what} were accepted")
    broken = [one for one in tried if one.status >= 500 and one.status != 503]
    if broken or not tried:
        return undetermined(f"{len(broken)} of {len(tried)} guesses broke the device")
    checked = [one for one in tried if not _is_turned_away(one)]
    turned = len(tried) - len(checked)
    if any(one.status in (404, 405, 409) for one in checked):
        return undetermined(f"the device takes no {guesses.what} (answered {checked[0].status})")
    if len(checked) > MAX_CHECKED_ONE_SOURCE:
        return failed(
            f"{len(tried)} guesses from one address: {len(checked)} checked, {turned} turned away"
        )
    waits = [one.retry_after for one in tried if one.retry_after is not None]
    if not waits:
        return failed(f"{turned} of {len(tried)} guesses turned away without a time to wait")
    return passed(
        f"{len(tried)} {guesses.what} guessed from one address: {len(checked)} checked,"
        f" {turned} answered 429, next in {max(waits):g} s"
    )


def judge_guesses_spread(guesses: Guesses) -> Finding:
    """Pass if many sources together have not many more guesses than one (R2.2.1)."""
    tried = guesses.other_sources
    if not tried:
        return undetermined("guesses from several addresses are possible on the loopback only")
    checked = [one for one in tried if not _is_turned_away(one)]
    sources = len({one.source for one in tried})
    told = f"{len(tried)} more from {sources} other addresses: {len(checked)} checked"
    return failed(told) if len(checked) > MAX_CHECKED_ALL else passed(told)


def judge_load(load: Load) -> Finding:
    """Pass if the honest client was served all through the flood, and the device after it."""
    before, during = load.before, load.during
    if not before.answered or before.failures:
        return undetermined("the honest client was not served even before the flood")
    if load.sent == 0:
        return undetermined("no flood was made")
    told = (
        f"{load.sent} {load.flood} ({load.turned_away} turned away): {load.client} waited"
        f" {_ms(before.median)} before, {_ms(during.median)} during (worst {_ms(during.worst)})"
    )
    if during.failures:
        return failed(f"{told}; {during.failures} of its requests failed")
    new = load.newcomers
    attempts = len(new.answered) + new.failures
    told += f"; {len(new.answered)} of {attempts} new connections of its own answered"
    if not new.answered and load.client.startswith("the owner"):
        return failed(told)
    if during.median > MEDIAN_SECONDS or during.worst > WORST_SECONDS:
        return failed(told)
    if not load.answers_after:
        return failed(f"{told}; the device no longer answers strangers")
    return passed(told)


def judge_ordeals(ordeals: Sequence[Ordeal], *, answers_after: bool) -> Finding:
    """Pass if hostile input was refused and the device works on."""
    if not ordeals:
        return undetermined("no hostile input was sent")
    served = [one.name for one in ordeals if 200 <= one.status < 400]
    broken = [one.name for one in ordeals if one.status == 500]
    if not answers_after:
        return failed(f"after {len(ordeals)} hostile inputs the device no longer answers")
    if served:
        return failed(f"served instead of refused: {', '.join(served)}")
    if broken:
        return failed(f"answered 500: {', '.join(broken)}")
    return passed(f"{len(ordeals)} hostile inputs refused, the device answers after them")


def judge_amplification(
    echoes: Sequence[Echo], *, announced: frozenset[int] = frozenset()
) -> Finding:
    """Pass if no datagram got an answer larger than itself (R2.1d; RFC 8085, 3.1).

    On the ports of `announced` (multicast DNS that the design declares) the answer may be
    `LINK_FACTOR` times as large: it goes to the own link only (RFC 6762, 11).
    """
    if not echoes:
        return undetermined("no datagram was sent")
    larger = [
        f"UDP {one.port}: {one.factor:.1f} times"
        for one in echoes
        if one.factor > (LINK_FACTOR if one.port in announced else 1)
    ]
    if larger:
        return failed(f"answers larger than the question: {', '.join(larger)}")
    answered = sum(1 for one in echoes if one.received)
    return passed(f"datagrams to {len(echoes)} UDP ports: {answered} answered, none amplified")


def _is_turned_away(guess: Guess) -> bool:
    return guess.status in (429, 503)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
