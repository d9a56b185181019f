"""R2.1: claim, sessions, tokens and reset in any order, with power cuts in between.

A Hypothesis state machine drives the real service on a real directory, beside a model that
knows only what a person was told. A cut is a new life of the process from the same files.
"""

import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.device.accounts.conftest import Desk, claim_of, login_of, run

from limpet.crypto.passwords import PasswordProfile, hash_password, is_current
from limpet.crypto.randomness import new_claim_code
from limpet.device.accounts import service
from limpet.device.accounts.tokens import SESSION_IDLE_SECONDS
from limpet.device.link import messages as m
from limpet.errors import Unavailable

pytestmark = pytest.mark.slow

PASSWORDS = ("violet anchors drift slowly", "seven quiet lanterns burn", "a kettle below the moss")
HOUR = 3600.0


class Ownership(RuleBasedStateMachine):
    """What is promised is what holds, whatever came before."""

    sessions = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="limpet-ownership-"))
        self.desk = Desk(self.directory)
        self.code = self.desk.mint()
        self.password = ""  # of the owner; empty: nobody owns it
        self.living: set[str] = set()
        self.known = ""
        self.ended: set[str] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.directory)

    def ask(self, request: m.Request) -> m.Reply:
        self.desk.now += 2 * HOUR / 7  # no delay of the throttle hides what is tested here
        return run(self.desk.ask(request))

    @rule(target=sessions, password=st.sampled_from(PASSWORDS))
    def claim(self, password: str) -> Any:
        reply = self.ask(claim_of(self.code, password))
        if self.password:
            assert isinstance(reply, m.Refused), "a spent code opened a claimed device"
            assert reply.reason == "already-claimed"
            return multiple()
        assert isinstance(reply, m.SessionOpened), reply
        self.password, self.known = password, reply.known
        self.living.add(reply.token)
        return reply.token

    @rule()
    def claim_by_a_wrong_code(self) -> None:
        assert isinstance(self.ask(claim_of(new_claim_code())), m.Refused)

    @rule(target=sessions, password=st.sampled_from(PASSWORDS))
    def login(self, password: str) -> Any:
        reply = self.ask(login_of(password, known=self.known))
        if not self.password or password != self.password:
            assert isinstance(reply, m.Refused), "a wrong password opened a session"
            return multiple()
        if isinstance(reply, m.Refused):
            assert reply.reason == "throttled"
            return multiple()
        self.living.add(reply.token)
        self.known = reply.known
        return reply.token

    @rule(target=sessions, token=sessions)
    def make_token(self, token: str) -> Any:
        reply = self.ask(
            m.CreateToken(token=token, label="hub", access=m.Access.OWNER, lifetime_seconds=86400)
        )
        if token not in self.living:
            assert isinstance(reply, m.Refused), "a dead token made a living one"
            return multiple()
        if isinstance(reply, m.Refused):
            assert reply.reason == "too-many-tokens"
            return multiple()
        made = str(_answer(reply)["token"])
        self.living.add(made)
        return made

    @rule(token=sessions)
    def logout(self, token: str) -> None:
        if isinstance(self.ask(m.Logout(token=token)), m.Done):
            assert token in self.living, "a dead token was served"
            self.end({token})

    def end(self, tokens: set[str]) -> None:
        self.living -= tokens
        self.ended |= tokens

    @rule(token=sessions, new=st.sampled_from(PASSWORDS), old=st.sampled_from(PASSWORDS))
    def change_password(self, token: str, old: str, new: str) -> None:
        reply = self.ask(m.ChangePassword(token=token, old=old, new=new, source="192.0.2.1"))
        if token not in self.living or old != self.password:
            assert isinstance(reply, m.Refused), "the password was changed without the old one"
        elif isinstance(reply, m.Done):
            self.end(self.living - {token})
            self.password, self.known = new, ""

    @rule(token=sessions, password=st.sampled_from(PASSWORDS))
    def reset(self, token: str, password: str) -> None:
        reply = self.ask(m.FactoryReset(token=token, password=password, source="192.0.2.1"))
        if token not in self.living or password != self.password:
            assert isinstance(reply, m.Refused), "somebody else reset the device"
        elif isinstance(reply, m.Done):
            self.end(set(self.living))
            self.password, self.known = "", ""
            self._second_half_of_the_reset()

    def _second_half_of_the_reset(self) -> None:
        """As the supervisor does: the rest is erased, and the role starts anew."""
        assert isinstance(self.ask(claim_of(self.code)), m.Refused), "claimed amid the reset"
        self.desk.service.store.save(erase_pending=False)
        self.desk.again()

    @rule()
    def lose_power(self) -> None:
        self.desk.again()

    @rule(kind=st.sampled_from([m.Claim, m.Login, m.Logout, m.CreateToken]), token=sessions)
    def lose_power_before_it_is_durable(self, kind: type, token: str) -> None:
        """The disk refuses at once; nobody is told of success, and nothing has changed."""
        request = {
            m.Claim: claim_of(self.code, PASSWORDS[0]),
            m.Login: login_of(self.password or PASSWORDS[0], known=self.known),
            m.Logout: m.Logout(token=token),
            m.CreateToken: m.CreateToken(
                token=token, label="x", access=m.Access.VIEWER, lifetime_seconds=3600
            ),
        }[kind]
        store = self.desk.service.store
        kept: Callable[[object], None] = store.replace

        def full(records: object) -> None:
            raise Unavailable("the power is gone")

        store.replace = full  # type: ignore[assignment,method-assign]
        try:
            assert isinstance(self.ask(request), m.Refused)
        finally:
            store.replace = kept  # type: ignore[method-assign]
        self.desk.again()

    @rule()
    def let_sessions_run_out(self) -> None:
        self.desk.now += max(SESSION_IDLE_SECONDS, 24 * HOUR) + 1
        self.end(set(self.living))

    @rule(token=sessions)
    def show_a_token(self, token: str) -> None:
        alive = isinstance(self.ask(m.Authenticate(token=token)), m.Principal)
        assert not alive or token in self.living, "a token outlived its revocation"

    @precondition(lambda self: bool(self.living))
    @rule(data=st.data())
    def a_living_token_works(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(sorted(self.living)))
        if not isinstance(self.ask(m.Authenticate(token=token)), m.Principal):
            self.end({token})  # it ran out, or the oldest session made room

    @invariant()
    def one_owner_or_none(self) -> None:
        records = self.desk.service.store.records
        owners = [one for one in records.accounts if one.access is m.Access.OWNER]
        assert len(owners) == (1 if self.password else 0)
        assert (records.state is m.ClaimState.CLAIMED) == bool(self.password)
        if not self.password:
            assert not records.tokens
            assert not records.known

    @invariant()
    def what_has_ended_stays_ended(self) -> None:
        for token in self.ended:
            reply = run(self.desk.ask(m.Authenticate(token=token)))
            assert isinstance(reply, m.Refused), "a token outlived its end"


def _answer(reply: m.Reply) -> dict[str, object]:
    assert isinstance(reply, m.Answer), reply
    return msgspec.json.decode(reply.json, type=dict[str, object])


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of passwords are hashed here; what a hash costs is another test's matter."""
    cheap = PasswordProfile(memory_kib=64, passes=1, lanes=1)
    monkeypatch.setattr(service, "hash_password", partial(hash_password, profile=cheap))
    monkeypatch.setattr(service, "is_current", partial(is_current, profile=cheap))


@pytest.mark.usefixtures("cheap_hashes")
def test_no_order_of_events_gives_two_owners_or_a_token_that_outlives_its_end() -> None:
    run_state_machine_as_test(
        Ownership, settings=settings(max_examples=12, stateful_step_count=25, deadline=None)
    )


@pytest.mark.usefixtures("cheap_hashes")
def test_the_machine_notices_a_logout_that_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The specimen: with the defect planted, the machine above must fail."""
    monkeypatch.setattr(service.tokens, "remove_token", lambda records, *_: records.tokens)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            Ownership,
            settings=settings(
                max_examples=40, stateful_step_count=25, deadline=None, database=None
            ),
        )
