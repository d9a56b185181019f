"""Guesses at passwords and claim codes, and what became of each.

Owns the attempts: from one source, from several (a loopback target lets the
audit take many addresses), and with the credentials that everybody knows.
"""

import secrets
from dataclasses import dataclass

from limpet.audit.instruments.device import read_identity
from limpet.audit.instruments.http import Answer, Conversation, converse
from limpet.audit.target import Endpoint, Target
from limpet.errors import LimpetError, Unavailable

__all__ = [
    "KNOWN_CREDENTIALS",
    "Guess",
    "Guesses",
    "guess_claim_codes",
    "guess_passwords",
    "try_known_credentials",
]

ONE_SOURCE = 30
OTHER_SOURCES = 12
PER_OTHER_SOURCE = 2
CLAIM_GUESSES = 20

KNOWN_CREDENTIALS = (
    ("admin", "admin"),
    ("admin", "password"),
    ("root", "root"),
    ("owner", "owner"),
    ("user", "user"),
    ("admin", "1234"),
)
"""The head of the lists that botnets try (the first of them are Mirai's)."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32


@dataclass(frozen=True, slots=True)
class Guess:
    """One attempt: from where, and the answer."""

    source: str
    status: int
    retry_after: float | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Guesses:
    """Attempts in order: first all from one source, then from others."""

    what: str
    one_source: tuple[Guess, ...]
    other_sources: tuple[Guess, ...]


def guess_passwords(target: Target) -> Guesses:
    """Random passwords for `target.account`. Raises `Unavailable` where nobody has claimed it."""
    endpoint = target.need(target.device, "device URL")
    if _is_unclaimed(target):
        raise Unavailable(
            "nobody has claimed this device, so it has no password to guess",
            hint="claim it first; a second, unclaimed one is for --fresh",
        )
    one = tuple(_guess_many(target, endpoint, ONE_SOURCE, source=_loopback(endpoint, 66)))
    others: list[Guess] = []
    if _loopback(endpoint, 1):
        for number in range(OTHER_SOURCES):
            source = _loopback(endpoint, 100 + number)
            others += _guess_many(target, endpoint, PER_OTHER_SOURCE, source=source)
    return Guesses(what="passwords", one_source=one, other_sources=tuple(others))


def guess_claim_codes(target: Target) -> Guesses:
    """Different random claim codes for the unclaimed device."""
    endpoint = target.need(target.fresh, "--fresh")
    guesses = []
    with converse(target, endpoint, source=_loopback(endpoint, 67), quiet=False) as conversation:
        for _ in range(CLAIM_GUESSES):
            letters = [secrets.choice(_ALPHABET) for _ in range(16)]
            code = "-".join("".join(letters[i : i + 4]) for i in range(0, 16, 4))
            document = {"code": code, "name": "audit", "password": secrets.token_urlsafe(24)}
            guesses.append(_noted(conversation.ask("POST", "/v1/claim", document), "one"))
    return Guesses(what="claim codes", one_source=tuple(guesses), other_sources=())


def try_known_credentials(target: Target, endpoint: Endpoint) -> tuple[tuple[str, int], ...]:
    """Logins with the credentials everybody knows: (name, status) of each."""
    answers = []
    with converse(target, endpoint, source=_loopback(endpoint, 68)) as conversation:
        for name, password in KNOWN_CREDENTIALS:
            answer = conversation.ask("POST", "/v1/login", {"name": name, "password": password})
            answers.append((f"{name}/{password}", answer.status))
    return tuple(answers)


def _is_unclaimed(target: Target) -> bool:
    """Whether the device says so itself; one that has no such answer is taken for claimed."""
    try:
        return target.observe(read_identity).get("claimed") is False
    except LimpetError:
        return False


def _guess_many(target: Target, endpoint: Endpoint, count: int, *, source: str) -> list[Guess]:
    with converse(target, endpoint, source=source, quiet=False) as conversation:
        return [_guess(conversation, target.account, source) for _ in range(count)]


def _guess(conversation: Conversation, account: str, source: str) -> Guess:
    document = {"name": account, "password": secrets.token_urlsafe(18)}
    return _noted(conversation.ask("POST", "/v1/login", document), source or "one")


def _noted(answer: Answer, source: str) -> Guess:
    return Guess(source, answer.status, answer.retry_after, answer.seconds)


def _loopback(endpoint: Endpoint, last: int) -> str:
    """Another source address of this machine, where the target is on its loopback."""
    return f"127.0.7.{last}" if endpoint.peer[0].startswith("127.") else ""
