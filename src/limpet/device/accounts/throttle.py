"""How often a secret may be guessed: pure decisions over a small fixed table.

Owns the rules; the clock is a parameter, and who calls stores the new state
durably *before* it checks the guess. The rules, for one account:

1. Per source: `free` tries, then a wait of min(2^(n - free), `longest_wait`) s
   after the n-th failure.
2. All strangers together: a bucket of `burst` tries that refills at `per_hour`.
   However many addresses a guesser has, it never gets more than
   burst + per_hour x h tries in h hours (`most_guesses`).
3. After `shut_after` failures of strangers in a row (NIST SP 800-63B-4, 3.2.2:
   at most 100) strangers are refused until a known client succeeds.
4. A known client (one that shows the cookie of an earlier session) is not a
   stranger: rule 1 holds for it, by its cookie; rules 2 and 3 do not. Strangers
   can't spend its tries, because they can't name its cell.

Accounts and sources are counted in cells of a table of fixed size, chosen by a
keyed hash. So nothing grows with the number of names or addresses tried,
nothing is ever evicted (an eviction would reset a delay), a name that does not
exist is treated as one that does, and a collision can only make a wait longer.
Cells are forgotten by age alone.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from limpet.wire.codec import Message

__all__ = [
    "CLAIM",
    "FORGET_SECONDS",
    "PASSWORD",
    "Allowed",
    "Bucket",
    "Cell",
    "Delayed",
    "Policy",
    "Throttle",
    "decide_attempt",
    "most_guesses",
    "record_success",
    "record_unfinished",
    "without_account",
]

SOURCE_CELLS = 1024
ACCOUNT_CELLS = 64
FORGET_SECONDS = 24 * 3600.0
_MOST_DOUBLINGS = 20


class Cell(Message, frozen=True, kw_only=True):
    """Failures in a row of one account and source (or known client); `last` in seconds."""

    failures: int
    last: float


class Bucket(Message, frozen=True, kw_only=True):
    """What strangers together have left for one account, at the time `last`."""

    left: float
    failures: int  # in a row
    last: float


class Throttle(Message, frozen=True, kw_only=True):
    """The whole state. `time` only ever grows, whatever the wall clock does."""

    time: float = 0.0
    cells: Mapping[str, Cell] = {}
    buckets: Mapping[str, Bucket] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The numbers of the rules; `shut_after` None: never shut."""

    free: int
    longest_wait: float  # seconds
    burst: int
    per_hour: float
    shut_after: int | None


PASSWORD = Policy(
    # A person mistypes: OpenSSH asks three times, too (NumberOfPasswordPrompts, ssh_config(5)).
    free=3,
    # SP 800-63B-4, 3.2.2: a wait that grows, "e.g., 30 seconds up to an hour".
    longest_wait=900.0,
    # Ours, for all strangers together: a household of newcomers can log in at once, and a guesser
    # has had its hundred, after which it is shut out, in nine hours.
    burst=10,
    per_hour=10.0,
    # SP 800-63B-4, 3.2.2: "no more than 100" failures in a row on one account.
    shut_after=100,
)
"""Login by password."""

CLAIM = Policy(free=3, longest_wait=900.0, burst=60, per_hour=600.0, shut_after=None)
"""The claim code: 80 random bits cannot be guessed at any such rate, and a device that
strangers could shut for its owner would be their victory; so its bucket is wide and never shut."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """Check the guess, once `state` (which counts it as failed already) is durable."""

    state: Throttle


@dataclass(frozen=True, slots=True)
class Delayed:
    """Do not look at the guess. `shut`: waiting does not help a stranger any more."""

    retry_after: float  # seconds
    shut: bool = False


def decide_attempt(
    state: Throttle,
    account: str,
    source: str,
    *,
    known: bool,
    now: float,
    policy: Policy,
    key: bytes,
) -> Allowed | Delayed:
    """Whether a guess may be checked now.

    `source` is the client's address, or for a `known` client the id of its cookie. `now` is
    seconds on the throttle's own clock; one that went backwards counts as no time passed.
    """
    now = max(now, state.time)
    number = _cell(key, account, source, known)
    cell = _aged(state.cells.get(number), now)
    wait = _wait(cell, policy, now)
    if known:
        if wait > 0:
            return Delayed(wait)
        return Allowed(_counted(state, number, cell, now))
    place = _hashed(key, "account", account, ACCOUNT_CELLS)
    bucket = _filled(state.buckets.get(place), now, policy)
    if policy.shut_after is not None and bucket.failures >= policy.shut_after:
        return Delayed(policy.longest_wait, shut=True)
    if bucket.left < 1:
        wait = max(wait, (1 - bucket.left) * 3600 / policy.per_hour)
    if wait > 0:
        return Delayed(wait)
    spent = Bucket(left=bucket.left - 1, failures=bucket.failures + 1, last=now)
    counted = _counted(state, number, cell, now)
    return Allowed(msgspec.structs.replace(counted, buckets={**counted.buckets, place: spent}))


def record_success(
    state: Throttle, account: str, source: str, *, known: bool, now: float, key: bytes
) -> Throttle:
    """The guess was right: this client's failures are forgotten, and the strangers' count too.

    The bucket keeps its level: the right password of one gives others no tries back.
    """
    now = max(now, state.time)
    number = _cell(key, account, source, known)
    place = _hashed(key, "account", account, ACCOUNT_CELLS)
    cells = {n: cell for n, cell in state.cells.items() if n != number}
    buckets = dict(state.buckets)
    if place in buckets:
        buckets[place] = msgspec.structs.replace(buckets[place], failures=0)
    return Throttle(time=now, cells=cells, buckets=buckets)


def record_unfinished(
    state: Throttle, account: str, source: str, *, known: bool, key: bytes
) -> Throttle:
    """The guess was right as far as it went: its count is taken back, and no other's.

    Nobody who knows a password can thereby wipe out the failures at a second factor. The
    bucket keeps its level.
    """
    number = _cell(key, account, source, known)
    place = _hashed(key, "account", account, ACCOUNT_CELLS)
    cells, buckets = dict(state.cells), dict(state.buckets)
    if number in cells:
        failures = max(0, cells[number].failures - 1)
        cells[number] = msgspec.structs.replace(cells[number], failures=failures)
    if place in buckets and not known:
        failures = max(0, buckets[place].failures - 1)
        buckets[place] = msgspec.structs.replace(buckets[place], failures=failures)
    return msgspec.structs.replace(state, cells=cells, buckets=buckets)


def without_account(state: Throttle, account: str, *, key: bytes) -> Throttle:
    """The password of `account` was changed by its owner: no failure in a row counts on."""
    place = _hashed(key, "account", account, ACCOUNT_CELLS)
    buckets = dict(state.buckets)
    if place in buckets:
        buckets[place] = msgspec.structs.replace(buckets[place], failures=0)
    return msgspec.structs.replace(state, buckets=buckets)


def most_guesses(policy: Policy, hours: float) -> float:
    """Upper bound of the strangers' checked guesses at one account within any `hours`."""
    return policy.burst + policy.per_hour * hours


def _wait(cell: Cell, policy: Policy, now: float) -> float:
    over = cell.failures - policy.free
    if over < 0:
        return 0.0
    pause = min(2.0 ** min(over, _MOST_DOUBLINGS), policy.longest_wait)
    return max(0.0, cell.last + pause - now)


def _aged(cell: Cell | None, now: float) -> Cell:
    if cell is None or now - cell.last > FORGET_SECONDS:
        return Cell(failures=0, last=now)
    return cell


def _filled(bucket: Bucket | None, now: float, policy: Policy) -> Bucket:
    if bucket is None:
        return Bucket(left=float(policy.burst), failures=0, last=now)
    left = bucket.left + max(0.0, now - bucket.last) * policy.per_hour / 3600
    return Bucket(left=min(float(policy.burst), left), failures=bucket.failures, last=now)


def _counted(state: Throttle, number: str, cell: Cell, now: float) -> Throttle:
    cells = {n: c for n, c in state.cells.items() if now - c.last <= FORGET_SECONDS}
    cells[number] = Cell(failures=cell.failures + 1, last=now)
    return Throttle(time=now, cells=cells, buckets=state.buckets)


def _cell(key: bytes, account: str, source: str, known: bool) -> str:
    # Known clients have their own half of the table: no stranger's failure lands in it.
    kind = "known" if known else "stranger"
    return f"{kind}-" + _hashed(key, kind, f"{account}\0{source}", SOURCE_CELLS)


def _hashed(key: bytes, kind: str, text: str, size: int) -> str:
    digest = hmac.digest(key, f"{kind}\0{text}".encode("utf-8", "surrogatepass"), hashlib.sha256)
    return str(int.from_bytes(digest[:8], "big") % size)
