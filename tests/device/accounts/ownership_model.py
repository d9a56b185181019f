"""A model of ownership: claim, people, transfer, takeover, tokens, reset, power cuts.

A Hypothesis state machine drives the real service on a real directory, beside a model that
knows only what people were told. A cut is a new life of the process from the same files.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
)
from tests.device.accounts.conftest import SOURCE, Desk, answer_of, login_of, run

from limpet.crypto.randomness import new_claim_code
from limpet.device.accounts.tokens import SESSION_IDLE_SECONDS
from limpet.device.link import messages as m
from limpet.errors import Unavailable

PASSWORDS = ("violet anchors drift slowly", "seven quiet lanterns burn", "a kettle below the moss")
NAMES = ("grace", "ada", "hedy")
HOUR = 3600.0
WAIT = 72 * HOUR
LESSER = ("bad-token", "needs-session", "access-too-low")
"""Why a token of somebody who may does not: it ran out, is a program's, or may less itself."""
ACCESS = (m.Access.VIEWER, m.Access.MEMBER)


class Ownership(RuleBasedStateMachine):
    """What is promised is what holds, whatever came before."""

    sessions = Bundle("sessions")
    invitations = Bundle("invitations")
    offers = Bundle("offers")

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="limpet-ownership-"))
        self.desk = Desk(self.directory, button=True)
        self.label, self.fresh, self.sealed = self.desk.mint(), "", False
        self.owner = ""  # its name; empty: nobody owns it
        self.people: dict[str, tuple[str, m.Access]] = {}  # password and access
        self.known: dict[str, str] = {}
        self.living: dict[str, str] = {}  # token: whose
        self.ended: set[str] = set()
        self.invited: dict[str, m.Access] = {}
        self.offered = ""
        self.waits = False

    def teardown(self) -> None:
        shutil.rmtree(self.directory)

    def ask(self, request: m.Request) -> m.Reply:
        self.desk.now += 2 * HOUR / 7  # no delay of the throttle hides what is tested here
        return run(self.desk.ask(request))

    def welcome(self, name: str, password: str, access: m.Access, reply: m.Reply) -> str:
        assert isinstance(reply, m.SessionOpened), reply
        assert reply.access is access
        self.people[name] = (password, access)
        self.known[name] = reply.known
        self.living[reply.token] = name
        return reply.token

    def everybody_out(self) -> None:
        self.end(set(self.living))
        self.people, self.known, self.invited = {}, {}, {}
        self.owner, self.offered, self.waits = "", "", False

    def end(self, tokens: set[str]) -> None:
        for token in tokens:
            del self.living[token]
        self.ended |= tokens

    def may(self, token: str, least: m.Access = m.Access.OWNER) -> bool:
        """Whether the bearer is alive and allowed as much."""
        name = self.living.get(token)
        return name is not None and self.people[name][1] >= least

    @rule(
        target=sessions,
        name=st.sampled_from(NAMES),
        password=st.sampled_from(PASSWORDS),
        which=st.sampled_from(["label", "fresh", "wrong"]),
        pressed=st.booleans(),
    )
    def claim(self, name: str, password: str, which: str, pressed: bool) -> Any:
        code = {"label": self.label, "fresh": self.fresh}.get(which) or new_claim_code()
        right = which == "fresh" and self.fresh
        right = right or (which == "label" and (pressed or not self.sealed))
        request = m.Claim(code=code, name=name, password=password, source=SOURCE)
        self.desk.now += 2 * HOUR / 7  # no earlier press counts
        if pressed:
            run(self.desk.ask(m.PressButton()))
        reply = run(self.desk.ask(request))
        if self.owner or not right:
            assert isinstance(reply, m.Refused), "a spent, sealed or wrong code opened a device"
            return multiple()
        self.owner, self.fresh, self.sealed = name, "", False
        return self.welcome(name, password, m.Access.OWNER, reply)

    @rule(target=sessions, name=st.sampled_from(NAMES), password=st.sampled_from(PASSWORDS))
    def login(self, name: str, password: str) -> Any:
        reply = self.ask(login_of(password, name=name, known=self.known.get(name, "")))
        if self.people.get(name, ("",))[0] != password:
            assert isinstance(reply, m.Refused), "a wrong password opened a session"
            return multiple()
        if isinstance(reply, m.Refused):
            assert reply.reason == "throttled"
            return multiple()
        self.waits = self.waits and name != self.owner
        return self.welcome(name, *self.people[name], reply)

    @rule(target=invitations, token=sessions, access=st.sampled_from(m.Access))
    def invite(self, token: str, access: m.Access) -> Any:
        reply = self.ask(m.InvitePerson(token=token, access=access))
        if not self.may(token) or access not in ACCESS:
            assert isinstance(reply, m.Refused), "who may not has invited somebody"
            return multiple()
        if isinstance(reply, m.Refused):
            assert reply.reason in ("too-many-invitations", *LESSER)
            return multiple()
        code = str(answer_of(reply)["code"])
        self.invited[code] = access
        return code

    @rule(
        target=sessions,
        code=invitations | offers,
        name=st.sampled_from(NAMES),
        password=st.sampled_from(PASSWORDS),
    )
    def join(self, code: str, name: str, password: str) -> Any:
        request = m.AcceptInvitation(code=code, name=name, password=password, source=SOURCE)
        reply = self.ask(request)
        access = self.invited.get(code)
        if access is None or name in self.people:
            assert isinstance(reply, m.Refused), "a spent code, or another's name, let one in"
            return multiple()
        if isinstance(reply, m.Refused):  # it ran out
            assert reply.reason in ("wrong-code", "throttled")
            return multiple()
        del self.invited[code]
        return self.welcome(name, password, access, reply)

    @rule(token=sessions, name=st.sampled_from(NAMES), access=st.sampled_from(m.Access))
    def change_access(self, token: str, name: str, access: m.Access) -> None:
        reply = self.ask(m.ChangeAccess(token=token, name=name, access=access))
        allowed = self.may(token) and access in ACCESS and name in self.people
        if isinstance(reply, m.Done):
            assert allowed, "who may not has changed an access"
            assert name != self.owner
            self.people[name] = (self.people[name][0], access)

    @rule(token=sessions, name=st.sampled_from(NAMES))
    def remove(self, token: str, name: str) -> None:
        reply = self.ask(m.RemovePerson(token=token, name=name))
        if isinstance(reply, m.Done):
            assert self.may(token), "who may not has removed somebody"
            assert name != self.owner
            self.end({one for one, whose in self.living.items() if whose == name})
            del self.people[name]

    @rule(target=offers, token=sessions, password=st.sampled_from(PASSWORDS), erase=st.booleans())
    def offer(self, token: str, password: str, erase: bool) -> Any:
        request = m.OfferTransfer(token=token, password=password, source=SOURCE, erase=erase)
        reply = self.ask(request)
        right = self.may(token) and self.people[self.owner][0] == password
        if not right or self.offered or self.waits:
            assert isinstance(reply, m.Refused), "who may not has offered the device"
            return multiple()
        if isinstance(reply, m.Refused):
            assert reply.reason in ("throttled", *LESSER)
            return multiple()
        self.offered = str(answer_of(reply)["code"])
        return self.offered

    @rule(token=sessions)
    def cancel(self, token: str) -> None:
        if isinstance(self.ask(m.CancelTransfer(token=token)), m.Done):
            assert self.may(token)
            assert self.offered
            self.offered = ""

    @rule(
        target=sessions,
        code=offers | invitations,
        name=st.sampled_from(NAMES),
        password=st.sampled_from(PASSWORDS),
    )
    def accept(self, code: str, name: str, password: str) -> Any:
        request = m.AcceptTransfer(code=code, name=name, password=password, source=SOURCE)
        reply = self.ask(request)
        if code != self.offered:
            assert isinstance(reply, m.Refused), "a dead code made an owner"
            return multiple()
        if isinstance(reply, m.Refused):
            assert reply.reason in ("wrong-code", "throttled")
            return multiple()
        self.everybody_out()
        self.owner = name
        token = self.welcome(name, password, m.Access.OWNER, reply)
        if self.desk.service.records.erase_pending:
            assert isinstance(self.ask(m.Authenticate(token=token)), m.Refused)
            self.desk.service.ownership.erased()
            self.desk.again()
        return token

    @rule(right=st.booleans(), pressed=st.booleans())
    def take_over(self, right: bool, pressed: bool) -> None:
        self.desk.now += 2 * HOUR / 7
        if pressed:
            run(self.desk.ask(m.PressButton()))
        code = self.label if right else new_claim_code()
        reply = run(self.desk.ask(m.TakeOver(code=code, source=SOURCE)))
        if isinstance(reply, m.Answer):
            assert right, "a takeover without label"
            assert pressed, "a takeover without a hand at the device"
            assert self.owner
            assert not self.offered
            self.waits = True

    @rule(token=sessions)
    def object_to_it(self, token: str) -> None:
        if isinstance(self.ask(m.CancelTakeover(token=token)), m.Done):
            assert self.may(token)
            assert self.waits
            self.waits = False

    @rule(seconds=st.sampled_from([1.0, WAIT / 2, WAIT, 8 * 86400.0]))
    def run_on(self, seconds: float) -> None:
        before = self.desk.service.records
        self.desk.service.ownership.tick(seconds)
        after = self.desk.service.records
        if after.state is m.ClaimState.RESETTING:
            assert self.waits, "a device lost its owner without a takeover"
            assert before.takeover is not None
            assert before.takeover.spent + seconds >= WAIT
            self.second_half_of_a_reset("")
        if self.offered and after.offer is None:
            self.offered = ""
        left = len(after.invitations)
        self.invited = self.invited if left == len(before.invitations) else {}

    @rule(target=sessions, token=sessions, access=st.sampled_from(m.Access))
    def make_token(self, token: str, access: m.Access) -> Any:
        request = m.CreateToken(token=token, label="hub", access=access, lifetime_seconds=3600)
        reply = self.ask(request)
        if not self.may(token, access) or access is m.Access.PUBLIC:
            assert isinstance(reply, m.Refused), "a token that may more than who made it"
            return multiple()
        if isinstance(reply, m.Refused):
            assert reply.reason in (
                "too-many-tokens",
                "lifetime-too-long",
                "access-too-high",
                *LESSER,
            )
            return multiple()
        made = str(answer_of(reply)["token"])
        self.living[made] = self.living[token]
        return made

    @rule(token=sessions)
    def logout(self, token: str) -> None:
        if isinstance(self.ask(m.Logout(token=token)), m.Done):
            assert token in self.living, "a dead token was served"
            self.end({token})

    @rule(token=sessions, new=st.sampled_from(PASSWORDS), old=st.sampled_from(PASSWORDS))
    def change_password(self, token: str, old: str, new: str) -> None:
        reply = self.ask(m.ChangePassword(token=token, old=old, new=new, source=SOURCE))
        name = self.living.get(token)
        if name is None or old != self.people[name][0]:
            assert isinstance(reply, m.Refused), "the password was changed without the old one"
        elif isinstance(reply, m.Done):
            self.end({t for t, whose in self.living.items() if whose == name and t != token})
            self.people[name] = (new, self.people[name][1])
            self.known.pop(name, None)

    @rule(token=sessions, password=st.sampled_from(PASSWORDS))
    def reset(self, token: str, password: str) -> None:
        reply = self.ask(m.FactoryReset(token=token, password=password, source=SOURCE))
        if not self.may(token) or password != self.people[self.owner][0]:
            assert isinstance(reply, m.Refused), "somebody else reset the device"
        elif isinstance(reply, m.ClaimCode):
            self.second_half_of_a_reset(reply.code)

    def second_half_of_a_reset(self, fresh: str) -> None:
        """As the supervisor does: the rest is erased, and the role starts anew."""
        self.everybody_out()
        self.fresh, self.sealed = fresh, True
        claim = m.Claim(code=fresh or self.label, name="eve", password=PASSWORDS[0], source=SOURCE)
        assert isinstance(self.ask(claim), m.Refused), "claimed amid the reset"
        self.desk.service.ownership.erased()
        self.desk.again()

    @rule()
    def lose_power(self) -> None:
        self.desk.again()

    @rule(
        kind=st.sampled_from([m.Claim, m.Login, m.Logout, m.CreateToken, m.InvitePerson]),
        token=sessions,
    )
    def lose_power_before_it_is_durable(self, kind: type, token: str) -> None:
        """The disk refuses at once; nobody is told of success, and nothing has changed."""
        request = {
            m.Claim: m.Claim(
                code=self.fresh or self.label, name="eve", password=PASSWORDS[0], source=SOURCE
            ),
            m.Login: login_of(PASSWORDS[0], name="grace", known=self.known.get("grace", "")),
            m.Logout: m.Logout(token=token),
            m.InvitePerson: m.InvitePerson(token=token, access=m.Access.VIEWER),
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
        reply = self.ask(m.Authenticate(token=token))
        if isinstance(reply, m.Principal):
            assert token in self.living, "a token outlived its revocation"
            assert reply.access <= self.people[self.living[token]][1], "more than it may"

    @precondition(lambda self: bool(self.living))
    @rule(data=st.data())
    def a_living_token_works(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(list(self.living)))
        if not isinstance(self.ask(m.Authenticate(token=token)), m.Principal):
            self.end({token})  # it ran out, or the oldest session made room

    @invariant()
    def one_owner_or_none(self) -> None:
        records = self.desk.service.store.records
        owners = [one.name for one in records.accounts if one.access is m.Access.OWNER]
        assert owners == ([self.owner] if self.owner else [])
        assert {one.name: one.access for one in records.accounts} == {
            name: access for name, (_, access) in self.people.items()
        }
        assert records.state.has_owner == bool(self.owner)
        assert (records.state is m.ClaimState.CONTESTED) == self.waits
        if not self.owner:
            assert (records.tokens, records.known, records.invitations) == ((), (), ())

    @invariant()
    def what_has_ended_stays_ended(self) -> None:
        for token in self.ended:
            reply = run(self.desk.ask(m.Authenticate(token=token)))
            assert isinstance(reply, m.Refused), "a token outlived its end"
