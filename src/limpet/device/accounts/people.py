"""People besides the owner: invited by a one-time code, with an access of their own.

Owns who may change whose access: the owner, that of others, and never to `owner`. So a
device has exactly one owner, whatever is asked in which order.
"""

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from limpet.device.accounts import tokens
from limpet.device.accounts.claim import make_code
from limpet.device.accounts.context import moment
from limpet.device.accounts.countdown import begin_deadline
from limpet.device.accounts.rules import verify_account_name, verify_new_password
from limpet.device.accounts.store import Account, ClaimVerifier, Invitation
from limpet.device.link import messages as m
from limpet.errors import Rejected

if TYPE_CHECKING:
    from limpet.device.accounts.context import Context

__all__ = ["INVITATION_SECONDS", "MAX_INVITATIONS", "MAX_PEOPLE", "People"]

MAX_PEOPLE = 16  # the owner among them
MAX_INVITATIONS = 8
INVITATION_SECONDS = 3 * 86400.0

_GRANTED = (m.Access.VIEWER, m.Access.MEMBER)


class People:
    """The requests about people."""

    def __init__(self, context: "Context") -> None:
        self._in = context

    async def describe(self, request: m.DescribeAccount) -> m.Reply:
        """The caller's own account."""
        caller = self._in.caller(request.token)
        account = self._in.account(caller.account)
        factor = account.factor if account else None
        return _answer(
            {
                "name": caller.account,
                "access": caller.access.name.lower(),
                "second_factor": factor is not None,
                "recovery_codes": len(factor.recovery) if factor else 0,
            }
        )

    async def listed(self, request: m.ListPeople) -> m.Reply:
        """Everybody, and who is still expected."""
        self._in.person(request.token, least=m.Access.OWNER)
        people = sorted(self._in.records.accounts, key=lambda one: (-one.access, one.name))
        return _answer(
            {
                "people": [
                    {
                        "name": one.name,
                        "access": one.access.name.lower(),
                        "second_factor": one.factor is not None,
                    }
                    for one in people
                ],
                "invitations": [
                    {
                        "invitation_id": one.invitation_id,
                        "access": one.access.name.lower(),
                        "expires_at": moment(one.deadline.until),
                    }
                    for one in self._invitations()
                ],
            }
        )

    async def invite(self, request: m.InvitePerson) -> m.Reply:
        """A code for one person; it is in this answer and nowhere else."""
        self._in.person(request.token, least=m.Access.OWNER)
        access = _verify_granted(request.access)
        waiting = self._invitations()
        if len(waiting) >= MAX_INVITATIONS:
            raise Rejected("too-many-invitations", f"at most {MAX_INVITATIONS}; withdraw one")
        if len(self._in.records.accounts) >= MAX_PEOPLE:
            raise _too_many()
        code, verifier = make_code()
        deadline = begin_deadline(INVITATION_SECONDS, wall=self._in.wall())
        made = Invitation(
            invitation_id=secrets.token_hex(8), verifier=verifier, access=access, deadline=deadline
        )
        self._in.store.save(invitations=(*waiting, made))
        self._in.note("person-invited", f"{access.name.lower()}, {made.invitation_id}")
        return _answer(
            {
                "invitation_id": made.invitation_id,
                "code": code,
                "access": access.name.lower(),
                "expires_at": moment(deadline.until),
            }
        )

    async def join(self, request: m.AcceptInvitation) -> m.Reply:
        """An account for whoever has the code; a bad name or password spends no guess.

        That a name is taken is said only to somebody with a right code, which then still counts.
        """
        within = self._in
        if not within.records.state.has_owner:
            return m.Refused(reason="unclaimed", message="claim the device first")
        name = verify_account_name(request.name)
        verify_new_password(request.password, words=(*within.words, name))
        fits = await within.check_code("join", request.code, self._codes, request.source)
        if isinstance(fits, m.Refused):
            return fits
        if within.account(name) is not None:
            raise Rejected("name-taken", "somebody has this name here: choose another")
        phc = await within.hash(request.password)
        # Another use of the code, or of the name, may have won while the hash was made.
        invitation = next((one for one in self._invitations() if one.verifier == fits), None)
        if invitation is None:
            raise Rejected("wrong-code", "this is not the right code")
        if within.account(name) is not None:
            raise Rejected("name-taken", "somebody has this name here: choose another")
        if len(within.records.accounts) >= MAX_PEOPLE:
            raise _too_many()
        account = Account(name=name, access=invitation.access, phc=phc)
        records = msgspec.structs.replace(
            within.records,
            accounts=within.with_account(account),
            invitations=tuple(one for one in self._invitations() if one.verifier != fits),
        )
        within.guard.forget_guesses()
        opened = within.open(records, account, "", request.source)
        within.note("person-joined", f"{name} from {request.source}")
        return opened

    async def withdraw(self, request: m.WithdrawInvitation) -> m.Reply:
        """The code counts no more."""
        self._in.person(request.token, least=m.Access.OWNER)
        waiting = self._invitations()
        kept = tuple(one for one in waiting if one.invitation_id != request.invitation_id)
        if len(kept) == len(waiting):
            raise Rejected("no-such-invitation", "there is no such invitation")
        self._in.store.save(invitations=kept)
        self._in.note("invitation-withdrawn", request.invitation_id)
        return m.Done()

    async def change_access(self, request: m.ChangeAccess) -> m.Reply:
        """Another person's; a token never does more than its account may now."""
        caller = self._in.person(request.token, least=m.Access.OWNER)
        access = _verify_granted(request.access)
        account = self._other(caller.account, request.name)
        changed = msgspec.structs.replace(account, access=access)
        self._in.store.save(accounts=self._in.with_account(changed))
        self._in.note("access-changed", f"{account.name}: {access.name.lower()}")
        return m.Done()

    async def remove(self, request: m.RemovePerson) -> m.Reply:
        """Another person, with everything that lets it in."""
        caller = self._in.person(request.token, least=m.Access.OWNER)
        account = self._other(caller.account, request.name)
        kept = tokens.without(self._in.records, account.name)
        self._in.store.save(
            accounts=tuple(one for one in kept.accounts if one.name != account.name),
            tokens=kept.tokens,
            known=kept.known,
        )
        self._in.note("person-removed", account.name)
        return m.Done()

    def _other(self, own: str, wanted: str) -> Account:
        account = self._in.account(wanted)
        if account is None:
            raise Rejected("no-such-person", "nobody here has this name")
        if account.name == own or account.access is m.Access.OWNER:
            raise Rejected("not-the-owner", "the owner stays the owner, except by a transfer")
        return account

    def _invitations(self) -> tuple[Invitation, ...]:
        now = self._in.wall()
        return tuple(one for one in self._in.records.invitations if one.deadline.is_alive(now))

    def _codes(self) -> Sequence[ClaimVerifier]:
        return [one.verifier for one in self._invitations()]


def _verify_granted(access: m.Access) -> m.Access:
    if access not in _GRANTED:
        raise Rejected("access-too-high", "a person is given viewer or member; the owner is one")
    return access


def _too_many() -> Rejected:
    return Rejected("too-many-people", f"at most {MAX_PEOPLE} people; remove one")


def _answer(value: object) -> m.Answer:
    return m.Answer(json=msgspec.json.encode(value))
