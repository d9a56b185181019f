"""Who may do what: judgements over attempts without the right to them.

Pure. A refusal is 401 or 403 (RFC 9110, 15.5); any other 4xx did not perform the
operation either, but is counted apart, because it is not a decision about rights.
"""

import re
from collections.abc import Iterable, Sequence

from limpet.audit.finding import Finding, failed, passed, undetermined
from limpet.audit.instruments.device import Attempt

__all__ = [
    "judge_challenge",
    "judge_disclosure",
    "judge_known_credentials",
    "judge_refusals",
    "only_paths",
]

_SECRET = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|\$argon2|\$2[aby]\$|\$scrypt|\$6\$|root:x?:0:0"
    rb'|"(password|password_hash|claim_code|private_key|secret)"\s*:\s*"[^"]+"',
)


def only_paths(attempts: Iterable[Attempt], pattern: str) -> tuple[Attempt, ...]:
    """The attempts whose method and path match `pattern`."""
    return tuple(one for one in attempts if re.search(pattern, str(one.operation)))


def judge_refusals(attempts: Sequence[Attempt], what: str) -> Finding:
    """Pass only if every attempt was refused for want of rights or otherwise not performed."""
    if not attempts:
        return undetermined(f"the device lists no operation that could be {what}")
    performed = [one for one in attempts if one.status < 400]
    broken = [one for one in attempts if one.status >= 500 and one.status != 503]
    if performed:
        listed = ", ".join(f"{one.operation} with {one.shown}: {one.status}" for one in performed)
        return failed(f"{len(performed)} of {len(attempts)} attempts answered: {_cut(listed)}")
    if broken:
        listed = ", ".join(f"{one.operation}: {one.status}" for one in broken)
        return undetermined(f"{len(broken)} attempts broke the device: {_cut(listed)}")
    operations = len({str(one.operation) for one in attempts})
    refused = sum(1 for one in attempts if one.status in (401, 403))
    rest = len(attempts) - refused
    apart = f", {rest} otherwise not performed" if rest else ""
    return passed(
        f"{operations} operations tried without a token and with a made-up one:"
        f" {refused} of {len(attempts)} answered 401 or 403{apart}"
    )


def judge_challenge(attempts: Sequence[Attempt]) -> Finding:
    """Pass if refusals for want of a token name the standard scheme (RFC 6750, 3)."""
    asked = [one for one in attempts if one.status == 401]
    if not asked:
        return undetermined("no operation answered 401")
    silent = [one for one in asked if not one.challenge.lower().startswith(("bearer", "basic"))]
    if silent:
        return failed(f"{len(silent)} of {len(asked)} answers 401 name no standard scheme")
    return passed(f"all {len(asked)} answers 401 name {asked[0].challenge.split()[0]} (RFC 6750)")


def judge_disclosure(bodies: Sequence[tuple[str, bytes]]) -> Finding:
    """Pass if no answer to a stranger holds key material, a verifier or a password."""
    if not bodies:
        return undetermined("nothing was answered")
    leaks = [name for name, body in bodies if _SECRET.search(body)]
    if leaks:
        return failed(f"{len(leaks)} answers to a stranger hold a secret: {_cut(', '.join(leaks))}")
    return passed(f"no key, verifier or password in {len(bodies)} answers to a stranger")


def judge_known_credentials(answers: Sequence[tuple[str, int]]) -> Finding:
    """Pass if none of the credentials that everybody knows opened the device."""
    if not answers:
        return undetermined("no login was tried")
    opened = [name for name, status in answers if status < 300]
    if opened:
        return failed(f"the device opens with {', '.join(opened)}")
    if any(status >= 500 and status != 503 for _, status in answers):
        return undetermined("a login broke the device")
    return passed(f"none of {len(answers)} credentials that everybody knows opened the device")


def _cut(text: str, length: int = 240) -> str:
    return text if len(text) <= length else text[:length] + " ..."
