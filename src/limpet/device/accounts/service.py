"""What accounts answers: claim, login, sessions, tokens, passwords and the log.

Owns the order of checks within these requests, and says nothing in a refusal that tells
an existing name from another. People, their second factors and changes of ownership are
parts of their own.
"""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec

from limpet.crypto.passwords import is_current
from limpet.device.accounts import tokens
from limpet.device.accounts.claim import make_code
from limpet.device.accounts.context import Context, moment
from limpet.device.accounts.factors import Factors
from limpet.device.accounts.ownership import Ownership
from limpet.device.accounts.people import People
from limpet.device.accounts.rules import verify_account_name, verify_new_password
from limpet.device.accounts.states import Change, next_state
from limpet.device.accounts.store import Account, ClaimVerifier
from limpet.device.accounts.throttle import without_account
from limpet.device.link import messages as m
from limpet.errors import Rejected, Unavailable

__all__ = ["AccountsService", "Handlers"]

Handlers = dict[type, Callable[..., Awaitable[m.Reply]]]


@dataclass(slots=True, kw_only=True)
class AccountsService(Context):
    """The role's work."""

    people: People = field(init=False)
    factors: Factors = field(init=False)
    ownership: Ownership = field(init=False)

    def __post_init__(self) -> None:
        """Make the parts, which work on the same records."""
        self.people, self.factors, self.ownership = People(self), Factors(self), Ownership(self)

    def handlers(self) -> Handlers:
        """Every request that is served, and by what."""
        people, factors, ownership = self.people, self.factors, self.ownership
        served: Handlers = {
            m.MintClaimCode: self.mint,
            m.Claim: self.claim,
            m.Login: self.login,
            m.Authenticate: self.authenticate,
            m.Logout: self.logout,
            m.ChangePassword: self.change_password,
            m.CreateToken: self.create_token,
            m.ListTokens: self.list_tokens,
            m.RevokeToken: self.revoke_token,
            m.ReadEvents: self.read_events,
            m.DescribeAccount: people.describe,
            m.ListPeople: people.listed,
            m.InvitePerson: people.invite,
            m.AcceptInvitation: people.join,
            m.WithdrawInvitation: people.withdraw,
            m.ChangeAccess: people.change_access,
            m.RemovePerson: people.remove,
            m.BeginSecondFactor: factors.begin,
            m.ConfirmSecondFactor: factors.confirm,
            m.DisableSecondFactor: factors.disable,
            m.DescribeAccounts: ownership.state,
            m.DescribeOwnership: ownership.describe,
            m.OfferTransfer: ownership.offer,
            m.CancelTransfer: ownership.cancel,
            m.AcceptTransfer: ownership.accept,
            m.TakeOver: ownership.take_over,
            m.CancelTakeover: ownership.object,
            m.FactoryReset: ownership.reset,
            m.PressButton: ownership.press,
        }
        return {kind: _refusing(handler) for kind, handler in served.items()}

    async def mint(self, request: m.MintClaimCode) -> m.Reply:
        """Make the label's code, once in the device's life."""
        state = next_state(self.records.state, Change.MINT)
        code, verifier = make_code()
        self.store.save(state=state, claim=verifier)
        return m.ClaimCode(code=code)

    async def claim(self, request: m.Claim) -> m.Reply:
        """Code against ownership. A bad name or password is refused before a guess is spent."""
        next_state(self.records.state, Change.CLAIM)
        name = verify_account_name(request.name)
        verify_new_password(request.password, words=(*self.words, name))
        fits = await self.check_code("claim", request.code, self._claim_codes, request.source)
        if isinstance(fits, m.Refused):
            return fits
        if self._is_sealed() and fits == self.records.claim and not self.is_at_the_device():
            return m.Refused(
                reason="press-the-button",
                message="this device had an owner: press its button, then claim it by its label"
                " within two minutes; or use the code that the last owner was given",
            )
        phc = await self.hash(request.password)
        # Another claim may have won while the hash was made: ask the table again.
        state = next_state(self.records.state, Change.CLAIM)
        owner = Account(name=name, access=m.Access.OWNER, phc=phc)
        owned = msgspec.structs.replace(
            self.records, state=state, accounts=(owner,), fresh=None, label_sealed=False
        )
        opened = self.open(owned, owner, "", request.source)
        self.note("claimed", f"{name} from {request.source}")
        return opened

    def _claim_codes(self) -> tuple[ClaimVerifier, ...]:
        return tuple(one for one in (self.records.claim, self.records.fresh) if one is not None)

    def _is_sealed(self) -> bool:
        return self.records.label_sealed and self.button

    async def login(self, request: m.Login) -> m.Reply:
        """A session for a password; the same words and time whether the name exists or not.

        Who is a stranger needs the second factor too, if there is one. A stranger who shows
        the label's code, with the button pressed, is let past what other strangers have shut.
        """
        if not self.records.state.has_owner:
            return m.Refused(reason="unclaimed", message="claim the device first")
        try:
            name = verify_account_name(request.name)
        except Rejected:
            name = request.name
        client = tokens.find_known(self.records, name, request.known)
        if request.label and client is None:
            refused = await self.ownership.verify_presence(request.label, request.source)
            if refused is not None:
                return refused
        account = self.account(name)
        proved = await self.prove(
            account or Account(name=name, access=m.Access.VIEWER, phc=self.nobody),
            request.password,
            request.second,
            source=client.client_id if client else "label" if request.label else request.source,
            known=client is not None or bool(request.label),
            needs_second=client is None,
            event="login-failed",
            address=request.source,
            exists=account is not None,
        )
        if isinstance(proved, m.Refused):
            return proved
        if not is_current(proved.phc):
            proved = msgspec.structs.replace(proved, phc=await self.hash(request.password))
        records = msgspec.structs.replace(self.records, accounts=self.with_account(proved))
        opened = self.open(records, proved, request.known, request.source)
        self.note("login", f"{proved.name} from {request.source}")
        return opened

    async def authenticate(self, request: m.Authenticate) -> m.Reply:
        """Who holds this token; a revoked one fails from the next request on."""
        token = self.caller(request.token)
        return m.Principal(name=token.account, access=token.access, token_id=token.token_id)

    async def logout(self, request: m.Logout) -> m.Reply:
        """End this token."""
        caller = self.caller(request.token)
        self.store.save(tokens=tokens.remove_token(self.records, caller, caller.token_id))
        return m.Done()

    async def change_password(self, request: m.ChangePassword) -> m.Reply:
        """The old password is guessed at no better rate here than at the login."""
        caller = self.caller(request.token)
        verify_new_password(request.new, words=(*self.words, caller.account))
        proved = await self.confirm(caller, request.old, request.second, request.source)
        if isinstance(proved, m.Refused):
            return proved
        phc = await self.hash(request.new)
        account = self.account(caller.account)
        if account is None:
            return m.Refused(reason="bad-token", message="log in again")
        kept = tokens.only(self.records, caller)
        self.store.save(
            accounts=self.with_account(msgspec.structs.replace(account, phc=phc)),
            # Whoever had the old password loses every session, token and cookie but this one.
            tokens=kept.tokens,
            known=kept.known,
            throttle=without_account(
                self.records.throttle, f"login:{caller.account}", key=self.records.throttle_key
            ),
        )
        self.guard.forget_guesses()
        self.note("password-changed", f"{caller.account} from {request.source}")
        return m.Done()

    async def create_token(self, request: m.CreateToken) -> m.Reply:
        """A named API token; its secret is in this answer and nowhere else."""
        caller = self.caller(request.token)
        opened = tokens.add_api_token(
            self.records,
            caller,
            label=request.label,
            access=request.access,
            lifetime=float(request.lifetime_seconds),
            now=self.wall(),
        )
        self.store.save(tokens=opened.records.tokens)
        access = request.access.name.lower()
        self.note("token-created", f"{request.label} ({access}) of {caller.account}")
        answer = {
            "token_id": opened.token.token_id,
            "token": opened.secret,
            "label": opened.token.label,
            "access": opened.token.access.name.lower(),
            "expires_at": moment(opened.token.expires),
        }
        return m.Answer(json=msgspec.json.encode(answer))

    async def list_tokens(self, request: m.ListTokens) -> m.Reply:
        """The caller's sessions and API tokens."""
        caller = self.caller(request.token)
        found = tokens.tokens_of(self.records, caller, now=self.wall())
        return m.TokenList(
            tokens=tuple(
                m.TokenRecord(
                    token_id=one.token_id,
                    label=one.label,
                    access=one.access,
                    expires_at=moment(one.expires),
                )
                for one in found
            )
        )

    async def revoke_token(self, request: m.RevokeToken) -> m.Reply:
        """End a token of the caller's account that may do no more than the caller's."""
        caller = self.caller(request.token)
        kept = tokens.remove_token(self.records, caller, request.token_id)
        self.store.save(tokens=kept)
        self.note("token-revoked", f"{request.token_id} of {caller.account}")
        return m.Done()

    async def read_events(self, request: m.ReadEvents) -> m.Reply:
        """The security log, for the owner."""
        if self.caller(request.token).access is not m.Access.OWNER:
            return m.Refused(reason="access-too-low", message="only the owner reads the log")
        lines, more = self.log.read(request.limit, after=request.after)
        return m.EventLog(lines=lines, more=more)


def _refusing(handler: Callable[..., Awaitable[m.Reply]]) -> Callable[..., Awaitable[m.Reply]]:
    """Answer our own refusals as such: they are everyday, and not for the device's log."""

    async def answer(request: m.Request) -> m.Reply:
        try:
            return await handler(request)
        except Rejected as error:
            return m.Refused(reason=error.reason, message=error.message)
        except Unavailable as error:
            print(error, file=sys.stderr, flush=True)  # for the log: the caller may be anybody
            return m.Refused(
                reason="unavailable",
                message="the device cannot keep its records now: its storage is full or failing",
            )

    return answer
