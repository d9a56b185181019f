"""R2.5, R3.1: kill -9 of any process at any moment loses nothing that was acknowledged.

Every role, the supervisor, and boot, which the test starts again as an init would. While they
die, guesses at the owner's password go on: what was counted stays counted.

200 kills take some five minutes; `LIMPET_KILLS=1000` is what `.ci/nightly` does.
"""

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.device.gateway.attack_servers import Relay, loopback_source
from tests.end_to_end.living_device import PASSWORD, ROLES, Living, Owner, living_device

from limpet.device.accounts.throttle import PASSWORD as THROTTLE
from limpet.device.accounts.throttle import most_guesses
from limpet.errors import LimpetError

KILLS = int(os.environ.get("LIMPET_KILLS", "200"))
BACK_SECONDS = 150.0  # the longest backoff of the supervisor is 30
LATEST_KILL = 0.15  # seconds after a change was sent
VICTIMS = (*ROLES, "supervisor", "boot")
KINDS = ("policy", "policy", "target", "target", "token", "revoke", "password", "guess", "guess")

pytestmark = [pytest.mark.slow, pytest.mark.end_to_end, pytest.mark.timeout(600 + 30 * KILLS)]


@pytest.fixture
def living(tmp_path: Path) -> Iterator[Living]:
    with living_device(tmp_path) as device:
        yield device


class Ledger:
    """What the owner was told, and so expects. A change without an answer may have happened."""

    def __init__(self, owner: Owner, dice: random.Random) -> None:
        self.owner, self.dice = owner, dice
        self.interval: set[int | None] = {None}
        self.target: set[float] | None = None
        self.tokens: dict[str, str] = {}  # id -> secret; all acknowledged
        self.doubtful: list[str] = []  # older than a change of the password without an answer
        self.dead: list[str] = []
        self.passwords = [PASSWORD]  # one of these is right; more than one only until `verify`
        self.begun = time.monotonic()
        self.guessed = 0  # guesses that were answered as checked
        self.acknowledged = 0

    def change(self) -> None:
        """One change, chosen by the dice; its answer, if any comes, is entered."""
        getattr(self, f"_change_{self.dice.choice(KINDS)}")()

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        try:
            status, value = self.owner.ask(method, path, body)
        except LimpetError:
            self.owner.hang_up()
            return None
        if status >= 500:
            return None
        assert status < 300, (method, path, status, value)
        self.acknowledged += 1
        return value if value else {}

    def _change_policy(self) -> None:
        wanted = self.dice.randint(14400, 86400)
        done = self._ask("PUT", "/v1/update/policy", {"interval_seconds": wanted})
        self.interval = {wanted} if done is not None else {*self.interval, wanted}

    def _change_target(self) -> None:
        wanted = float(self.dice.randint(10, 29))
        done = self._ask("POST", "/v1/functions/set_target", {"celsius": wanted})
        if done is not None:
            self.target = {wanted}
        elif self.target is not None:  # before the first answer anything may be there
            self.target = {*self.target, wanted}

    def _change_token(self) -> None:
        body = {"label": "hub", "access": "viewer", "lifetime_seconds": 86400}
        if len(self.tokens) < 10 and (made := self._ask("POST", "/v1/tokens", body)):
            self.tokens[made["token_id"]] = made["token"]

    def _change_revoke(self) -> None:
        if not self.tokens:
            return
        number, secret = self.tokens.popitem()
        if self._ask("DELETE", f"/v1/tokens/{number}") is not None:
            self.dead.append(secret)

    def _change_password(self) -> None:
        """Only where the right one is certain; what happened without an answer is found later."""
        if len(self.passwords) > 1:
            return
        new = f"tides {self.dice.getrandbits(60):x} under the harbour"
        body = {"old": self.passwords[0], "new": new}
        if self._ask("PUT", "/v1/password", body) is not None:
            self.passwords = [new]
            self.dead += self.tokens.values()
            self.tokens = {}
        else:
            self.passwords.append(new)
            self.doubtful, self.tokens = [*self.tokens.values()], {}

    def _change_guess(self) -> None:
        """A stranger guesses; what is checked is counted, whoever dies meanwhile."""
        number = self.dice.getrandbits(60)
        body = {"name": "owner", "password": f"another guess {number:x}"}
        stranger = Owner(self.owner.living)
        with contextlib.suppress(LimpetError):
            status, value = stranger.ask("POST", "/v1/login", body)
            assert status in (401, 429, 503), value
            self.guessed += status == 401
        stranger.hang_up()

    def verify(self) -> None:
        """Everything acknowledged is there, and what came without an answer came whole."""
        status, update = self.owner.ask("GET", "/v1/update")
        assert status == 200
        assert update["policy"]["interval_seconds"] in self.interval
        if self.target is not None:
            status, state = self.owner.ask("GET", "/v1/functions/status")
            assert status == 200, state
            assert _number(state) in self.target
        if len(self.passwords) == 1:  # else a change that still comes may end them
            assert all(self._is_alive(secret) for secret in self.tokens.values())
        self._verify_password()
        assert not any(self._is_alive(secret) for secret in self.dead)
        assert self.guessed <= most_guesses(THROTTLE, (time.monotonic() - self.begun) / 3600)

    def _is_alive(self, secret: str) -> bool:
        status, _ = self.owner.ask("GET", "/v1/functions", token=secret)
        assert status in (200, 401)
        return status == 200

    def _verify_password(self) -> None:
        """A change cut off has ended every token of before, or has not happened at all.

        It may still wait for its turn at the hashing, so the old password is tried first: once that
        is replaced, the change cannot happen any more, nor had it when the tokens were looked at.
        """
        if len(self.passwords) == 1:
            return
        old, new = self.passwords
        alive = [self._is_alive(secret) for secret in [*self.doubtful, *self.tokens.values()]]
        fresh = f"reeds {self.dice.getrandbits(60):x} along the river"
        status, _ = self.owner.ask("PUT", "/v1/password", {"old": old, "new": fresh})
        if status == 204:
            assert all(alive)
        else:
            assert not any(self._is_alive(secret) for secret in self.doubtful)
            status, value = self.owner.ask("PUT", "/v1/password", {"old": new, "new": fresh})
            assert status == 204, value
        self.passwords = [fresh]
        self.dead += [*self.doubtful, *self.tokens.values()]
        self.doubtful, self.tokens = [], {}


def _number(value: Any) -> float:
    return float(value["target"] if isinstance(value, dict) else value)


def _pid(living: Living, victim: str) -> int:
    """Who is killed, or ends with boot, and is another one afterwards; 0 of a role at rest."""
    with contextlib.suppress(AssertionError):
        return living.device.pid_of("supervisor" if victim == "boot" else victim)
    return 0


def _kill(living: Living, victim: str, old: int) -> None:
    """`old` is the victim's; boot is started again by its init, which is this test."""
    with contextlib.suppress(ProcessLookupError):  # it went to rest meanwhile
        os.kill(living.device.boot.pid if victim == "boot" else old, signal.SIGKILL)
    if victim == "boot":
        living.device.start_again()


def _wait_back(living: Living, owner: Owner, victim: str, old: int) -> float:
    begun = time.monotonic()
    while time.monotonic() - begun < BACK_SECONDS:
        try:
            new = _pid(living, victim)
            ready = new != old and set(living.running_roles()) == set(ROLES)
            if ready and owner.ask("GET", "/v1/update")[0] == 200:
                status, _ = owner.ask("GET", "/v1/functions/temperature")
                if status == 200:
                    return time.monotonic() - begun
        except (LimpetError, OSError, ValueError, StopIteration):
            owner.hang_up()
        time.sleep(0.05)
    entries = [f"{e.role} {e.event}: {e.detail}" for e in living.device.log()][-15:]
    raise AssertionError("\n".join([f"{victim} is not back after {BACK_SECONDS} s", *entries]))


def test_killing_any_role_at_any_moment_loses_no_acknowledged_change(living: Living) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"{KILLS} kills, seed {seed}")
    dice = random.Random(seed)  # noqa: S311 (no secret: a run must be repeatable)
    owner = Owner(living)
    owner.claim()
    ledger = Ledger(owner, dice)
    slowest = 0.0
    for number in range(KILLS):
        found = {role: pid for role in VICTIMS if (pid := _pid(living, role))}
        victim = dice.choice(list(found))
        old = found[victim]
        writer = threading.Thread(target=_change_often, args=(ledger,))
        writer.start()
        time.sleep(dice.uniform(0, LATEST_KILL))
        _kill(living, victim, old)
        writer.join(2 * BACK_SECONDS)
        assert not writer.is_alive()
        back = _wait_back(living, owner, victim, old)
        slowest = max(slowest, back)
        print(f"{number + 1}: {victim} back after {back:.1f} s; {ledger.acknowledged} changes held")
        ledger.verify()
    _verify_delays_outlive_a_kill(living, owner)
    assert ledger.acknowledged > KILLS / 2
    print(f"slowest return {slowest:.1f} s")


def _verify_delays_outlive_a_kill(living: Living, owner: Owner) -> None:
    """Strangers who have spent all tries have none after the counter was killed, and after boot."""

    def guess(count: int) -> set[int]:
        """Wrong ones, each from an address of its own."""
        relay = Relay(("127.0.0.1", living.port), living.roots_pem, loopback_source)
        for number in range(count):
            relay.guess("owner", f"guess {time.monotonic_ns()} {number} at the end")
        return set(relay.statuses)

    guess(2 * THROTTLE.burst)
    assert guess(1) == {429}
    for victim in ("accounts", "boot"):
        old = _pid(living, victim)
        _kill(living, victim, old)
        _wait_back(living, owner, victim, old)
        assert guess(1) == {429}


def _change_often(ledger: Ledger) -> None:
    for _ in range(3):
        ledger.change()
