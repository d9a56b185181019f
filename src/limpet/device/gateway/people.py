"""The operations about people and ownership: all that `accounts` decides.

Owns the translation between HTTP bodies and the messages to `accounts`, and the cookie by
which a browser is known again. Decides nothing that accounts decides.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http.cookies import CookieError, SimpleCookie
from typing import Any

import msgspec

from limpet.device.gateway import bodies as b
from limpet.device.gateway import people_bodies as p
from limpet.device.gateway.answers import json_answer
from limpet.device.gateway.asking import Asked, Call, Handler, ask_role, done_by, source_address
from limpet.device.gateway.people_bodies import OwnershipBody
from limpet.device.gateway.routes import Operation
from limpet.device.link import messages as m
from limpet.device.link.permits import Role
from limpet.errors import Rejected
from limpet.https.message import Response, problem

__all__ = ["PeopleOperations"]

EVENTS = 200
"""Lines of the security log in one answer, unless `limit` says otherwise."""

KNOWN_COOKIE = "__Secure-limpet-known"
KNOWN_COOKIE_SECONDS = 400 * 86400  # RFC 6265bis: the longest that browsers keep one


TAKEOVER_NOTICE = 0
"""Its number as a notification: no notification of a product has it."""


@dataclass(frozen=True, slots=True)
class PeopleOperations:
    """The handlers; `reset_done` is called once nobody owns the device any more, `handed_on` once
    it is another's."""

    call: Call
    promote: Callable[[int], None]
    reset_done: Callable[[], None]
    handed_on: Callable[[], None]

    def table(self) -> Mapping[Operation, Handler]:
        """Every operation's handler."""
        return {
            Operation.CLAIM: self.claim,
            Operation.LOGIN: self.login,
            Operation.LOGOUT: self.logout,
            Operation.CHANGE_PASSWORD: self.change_password,
            Operation.LIST_TOKENS: self.list_tokens,
            Operation.CREATE_TOKEN: self.create_token,
            Operation.REVOKE_TOKEN: self.revoke_token,
            Operation.READ_ACCOUNT: self.read_account,
            Operation.BEGIN_SECOND_FACTOR: self.begin_second_factor,
            Operation.CONFIRM_SECOND_FACTOR: self.confirm_second_factor,
            Operation.DISABLE_SECOND_FACTOR: self.disable_second_factor,
            Operation.LIST_PEOPLE: self.list_people,
            Operation.INVITE_PERSON: self.invite,
            Operation.WITHDRAW_INVITATION: self.withdraw_invitation,
            Operation.JOIN: self.join,
            Operation.CHANGE_ACCESS: self.change_access,
            Operation.REMOVE_PERSON: self.remove_person,
            Operation.READ_OWNERSHIP: self.read_ownership,
            Operation.OFFER_TRANSFER: self.offer_transfer,
            Operation.CANCEL_TRANSFER: self.cancel_transfer,
            Operation.ACCEPT_TRANSFER: self.accept_transfer,
            Operation.TAKE_OVER: self.take_over,
            Operation.CANCEL_TAKEOVER: self.cancel_takeover,
            Operation.READ_EVENTS: self.read_events,
            Operation.RESET: self.reset,
        }

    async def claim(self, asked: Asked) -> Response:
        """The first session."""
        return await self._begin(asked, m.Claim)

    async def join(self, asked: Asked) -> Response:
        """A person's first session."""
        return await self._begin(asked, m.AcceptInvitation)

    async def accept_transfer(self, asked: Asked) -> Response:
        """The next owner's first session; the last one's household is not theirs."""
        response = await self._begin(asked, m.AcceptTransfer)
        self.handed_on()
        return response

    async def login(self, asked: Asked) -> Response:
        """A session; known clients show their cookie in the body or as a cookie."""
        body: b.LoginBody = asked.body
        request = m.Login(
            name=body.name,
            password=body.password,
            source=source_address(asked),
            known=body.known or _cookie(asked.request.headers.get("cookie", "")),
            second=body.second,
            label=body.label,
        )
        return self._opened(asked, await self._ask(request, m.SessionOpened))

    async def logout(self, asked: Asked) -> Response:
        """End the token that was shown."""
        return await self._done(m.Logout(token=asked.token))

    async def change_password(self, asked: Asked) -> Response:
        """Old against new."""
        body: b.PasswordBody = asked.body
        request = m.ChangePassword(
            token=asked.token,
            old=body.old,
            new=body.new,
            source=source_address(asked),
            second=body.second,
        )
        return await self._done(request)

    async def list_tokens(self, asked: Asked) -> Response:
        """Without secrets."""
        listed = await self._ask(m.ListTokens(token=asked.token), m.TokenList)
        return json_answer(
            200,
            [
                b.TokenBody(
                    token_id=one.token_id,
                    label=one.label,
                    access=b.access_name(one.access),
                    expires_at=one.expires_at,
                )
                for one in listed.tokens
            ],
        )

    async def create_token(self, asked: Asked) -> Response:
        """The secret is in this answer only."""
        body: b.TokenRequestBody = asked.body
        request = m.CreateToken(
            token=asked.token,
            label=body.label,
            access=m.Access[body.access.upper()],
            lifetime_seconds=body.lifetime_seconds,
        )
        return await self._answer(asked, request)

    async def revoke_token(self, asked: Asked) -> Response:
        """By its id."""
        token_id = asked.match.values["id"]
        if len(token_id) > 64:
            return problem(404, "no-such-token")
        return await self._done(m.RevokeToken(token=asked.token, token_id=token_id))

    async def read_account(self, asked: Asked) -> Response:
        """The caller's own."""
        return await self._answer(asked, m.DescribeAccount(token=asked.token))

    async def begin_second_factor(self, asked: Asked) -> Response:
        """The secret is in this answer only."""
        return await self._answer(asked, self._proved(asked, m.BeginSecondFactor))

    async def confirm_second_factor(self, asked: Asked) -> Response:
        """The recovery codes are in this answer only."""
        body: p.FirstCodeBody = asked.body
        return await self._answer(asked, m.ConfirmSecondFactor(token=asked.token, code=body.code))

    async def disable_second_factor(self, asked: Asked) -> Response:
        """By the factor itself."""
        return await self._done(self._proved(asked, m.DisableSecondFactor))

    async def list_people(self, asked: Asked) -> Response:
        """And invitations."""
        return await self._answer(asked, m.ListPeople(token=asked.token))

    async def invite(self, asked: Asked) -> Response:
        """The code is in this answer only."""
        body: p.InviteBody = asked.body
        request = m.InvitePerson(token=asked.token, access=m.Access[body.access.upper()])
        return await self._answer(asked, request)

    async def withdraw_invitation(self, asked: Asked) -> Response:
        """By its id."""
        invitation_id = asked.match.values["id"]
        if len(invitation_id) > 64:
            return problem(404, "no-such-invitation")
        return await self._done(
            m.WithdrawInvitation(token=asked.token, invitation_id=invitation_id)
        )

    async def change_access(self, asked: Asked) -> Response:
        """By the person's name, which may hold what a path may not."""
        body: p.AccessBody = asked.body
        access = m.Access[body.access.upper()]
        return await self._done(m.ChangeAccess(token=asked.token, name=body.name, access=access))

    async def remove_person(self, asked: Asked) -> Response:
        """By the person's name."""
        body: p.PersonNameBody = asked.body
        return await self._done(m.RemovePerson(token=asked.token, name=body.name))

    async def read_ownership(self, asked: Asked) -> Response:
        """The state, and what is under way."""
        return await self._answer(asked, m.DescribeOwnership())

    async def offer_transfer(self, asked: Asked) -> Response:
        """The code is in this answer only."""
        body: p.TransferBody = asked.body
        return await self._answer(
            asked,
            self._proved(asked, m.OfferTransfer, erase=body.erase),
        )

    async def cancel_transfer(self, asked: Asked) -> Response:
        """The code counts no more."""
        return await self._done(m.CancelTransfer(token=asked.token))

    async def take_over(self, asked: Asked) -> Response:
        """The wait begins."""
        body: p.TakeoverBody = asked.body
        request = m.TakeOver(code=body.code, source=source_address(asked))
        return await self._answer(asked, request)

    async def cancel_takeover(self, asked: Asked) -> Response:
        """The owner objects."""
        return await self._done(m.CancelTakeover(token=asked.token))

    async def read_events(self, asked: Asked) -> Response:
        """Newest last; a page of them after a number that was seen."""
        limit, after = _whole(asked, "limit", 1, 500), _whole(asked, "after", 0, 1 << 53)
        request = m.ReadEvents(token=asked.token, limit=limit or EVENTS, after=after)
        found = await self._ask(request, m.EventLog)
        return json_answer(200, b.EventsBody(lines=found.lines, more=found.more))

    async def reset(self, asked: Asked) -> Response:
        """The device restarts after this answer, which alone holds the fresh code."""
        made = await self._ask(self._proved(asked, m.FactoryReset), m.ClaimCode)
        self.reset_done()
        return json_answer(200, p.FreshCodeBody(code=made.code))

    async def takeover_notice(self, now: datetime) -> tuple[m.Notice, ...]:
        """A takeover as a notification that no acknowledgement ends: only the owner's word does."""
        answer = await self._ask(m.DescribeOwnership(), m.Answer)
        takeover = msgspec.json.decode(answer.json, type=OwnershipBody).takeover
        if takeover is None:
            return ()
        hours = -(-takeover.seconds_left // 3600)
        text = f"Somebody with the device in hand asks to take it over, in {hours} hours of running"
        notice = m.Notice(
            id=TAKEOVER_NOTICE, key="takeover", text=text, level="error", raised_at=now
        )
        return (notice,)

    def _proved(self, asked: Asked, kind: Any, **more: Any) -> Any:
        """A message whose sender proves password and second factor again."""
        body: b.ResetBody = asked.body
        return kind(
            token=asked.token,
            password=body.password,
            second=body.second,
            source=source_address(asked),
            **more,
        )

    async def _begin(self, asked: Asked, kind: Any) -> Response:
        """Somebody becomes a person of this device by a code."""
        body: b.ClaimBody = asked.body
        request = kind(
            code=body.code, name=body.name, password=body.password, source=source_address(asked)
        )
        return self._opened(asked, await self._ask(request, m.SessionOpened))

    def _opened(self, asked: Asked, opened: m.SessionOpened) -> Response:
        self.promote(asked.request.peer.connection_id)
        body = b.SessionBody(
            token=opened.token,
            known=opened.known,
            access=b.access_name(opened.access),
            expires_at=opened.expires_at,
        )
        cookie = (
            f"{KNOWN_COOKIE}={opened.known}; Path=/v1/login; Max-Age={KNOWN_COOKIE_SECONDS}; "
            "Secure; HttpOnly; SameSite=Strict"
        )
        return json_answer(asked.match.route.status, body, {"set-cookie": cookie})

    async def _answer(self, asked: Asked, request: m.Request) -> Response:
        return json_answer(asked.match.route.status, (await self._ask(request, m.Answer)).json)

    async def _ask(self, request: m.Request, wanted: Any) -> Any:
        return await ask_role(self.call, Role.ACCOUNTS, request, wanted)

    async def _done(self, request: m.Request) -> Response:
        return await done_by(self.call, Role.ACCOUNTS, request)


def _whole(asked: Asked, name: str, least: int, most: int) -> int | None:
    """A whole number of the query, or None. Raises `Rejected("bad-arguments")`."""
    text = asked.request.query.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 16:
        raise Rejected("bad-arguments", f"{name}: a whole number from {least} to {most}")
    if not least <= int(text) <= most:
        raise Rejected("bad-arguments", f"{name}: a whole number from {least} to {most}")
    return int(text)


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(KNOWN_COOKIE)
    except CookieError:
        return ""
    return found.value if found and len(found.value) <= 256 else ""
