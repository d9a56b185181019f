"""What accounts answers: each request of the gateway and of the factory.

Owns the order of checks within a request. Compares no secret itself (see
`guard`), and says nothing in a refusal that tells an existing name from another.
"""

import contextlib
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from limpet.crypto.passwords import hash_password, is_current, verify_password
from limpet.crypto.randomness import new_token, normalise_code
from limpet.device.accounts import claim, tokens
from limpet.device.accounts.claim import Change, next_state
from limpet.device.accounts.events import SecurityLog
from limpet.device.accounts.guard import Attempt, Guard
from limpet.device.accounts.rules import verify_account_name, verify_new_password
from limpet.device.accounts.store import Account, Records, Store, StoredToken
from limpet.device.accounts.throttle import CLAIM, PASSWORD, Throttle, without_account
from limpet.device.accounts.worker import HashWorker
from limpet.device.link import messages as m
from limpet.errors import Rejected, Unavailable

__all__ = ["AccountsService", "Handlers"]

USED_WRITE_SECONDS = 900.0  # how stale a session's last use may be on disk

Handlers = dict[type, Callable[..., Awaitable[m.Reply]]]


@dataclass(slots=True, kw_only=True)
class AccountsService:
    """The role's work. `wall` is Unix time; `words` are what a guesser knows of the device.

    `erase` asks the supervisor for the second half of a factory reset.
    """

    store: Store
    guard: Guard
    worker: HashWorker
    log: SecurityLog
    wall: Callable[[], float]
    words: Sequence[str]
    erase: Callable[[], None]
    _nobody: str = ""  # the verifier that a name without account is checked against

    def __post_init__(self) -> None:
        """Make the verifier for names that do not exist, at the same cost as a real one."""
        self._nobody = hash_password(new_token())

    def handlers(self) -> Handlers:
        """Every request that is served, and by what."""
        served: Handlers = {
            m.MintClaimCode: self.mint,
            m.DescribeAccounts: self.describe,
            m.Claim: self.claim,
            m.Login: self.login,
            m.Authenticate: self.authenticate,
            m.Logout: self.logout,
            m.ChangePassword: self.change_password,
            m.CreateToken: self.create_token,
            m.ListTokens: self.list_tokens,
            m.RevokeToken: self.revoke_token,
            m.FactoryReset: self.factory_reset,
            m.ReadEvents: self.read_events,
        }
        return {kind: _refusing(handler) for kind, handler in served.items()}

    async def mint(self, request: m.MintClaimCode) -> m.Reply:
        """Make the label's code, once in the device's life."""
        state = next_state(self.store.records.state, Change.MINT)
        code, verifier = claim.make_code()
        self.store.save(state=state, claim=verifier)
        return m.ClaimCode(code=code)

    async def describe(self, request: m.DescribeAccounts) -> m.Reply:
        """The claim state."""
        return m.Answer(json=msgspec.json.encode(self.store.records.state.value))

    async def claim(self, request: m.Claim) -> m.Reply:
        """Code against ownership. A bad name or password is refused before a guess is spent."""
        if self.store.records.erase_pending:
            return m.Refused(reason="resetting", message="the device is being reset")
        verifier = self.store.records.claim
        next_state(self.store.records.state, Change.CLAIM)
        name = verify_account_name(request.name)
        verify_new_password(request.password, words=(*self.words, name))
        code = normalise_code(request.code)
        if verifier is None:
            return m.Refused(reason="not-ready", message="this device has no claim code")
        attempt = Attempt(
            account="claim",
            source=request.source,
            known=False,
            secret=code,
            policy=CLAIM,
            event="claim-failed",
            address=request.source,
        )
        refused = await self.guard.check(attempt, lambda: claim.verify_code(code, verifier))
        if refused is not None:
            return refused
        phc = await self.worker.run(lambda: hash_password(request.password), known=True)
        # Another claim may have won while the hash was made: ask the table again.
        state = next_state(self.store.records.state, Change.CLAIM)
        owner = Account(name=name, access=m.Access.OWNER, phc=phc)
        owned = msgspec.structs.replace(self.store.records, state=state, accounts=(owner,))
        return self._open(owned, owner, "", "claimed", request.source)

    async def login(self, request: m.Login) -> m.Reply:
        """A session for a password; the same words and time whether the name exists or not."""
        if self.store.records.state is not m.ClaimState.CLAIMED:
            return m.Refused(reason="unclaimed", message="claim the device first")
        try:
            name = verify_account_name(request.name)
        except Rejected:
            name = request.name
        account = self._account(name)
        phc = account.phc if account else self._nobody
        client = tokens.find_known(self.store.records, name, request.known)
        attempt = Attempt(
            account=f"login:{name}",
            source=client.client_id if client else request.source,
            known=client is not None,
            secret=request.password,
            policy=PASSWORD,
            event="login-failed",
            address=request.source,
        )
        refused = await self.guard.check(
            attempt, lambda: _verify_login(request.password, phc, exists=account is not None)
        )
        if refused is not None:
            return refused
        account = self._account(name)  # it may have changed during the check
        if account is None or account.phc != phc:
            return m.Refused(reason="wrong-credentials", message="name or password is not right")
        if not is_current(phc):
            renewed = await self.worker.run(lambda: hash_password(request.password), known=True)
            account = msgspec.structs.replace(account, phc=renewed)
        records = msgspec.structs.replace(self.store.records, accounts=self._with_account(account))
        return self._open(records, account, request.known, "login", request.source)

    async def authenticate(self, request: m.Authenticate) -> m.Reply:
        """Who holds this token; a revoked one fails from the next request on."""
        token = self._caller(request.token)
        return m.Principal(name=token.account, access=token.access, token_id=token.token_id)

    async def logout(self, request: m.Logout) -> m.Reply:
        """End this token."""
        caller = self._caller(request.token)
        self.store.save(
            tokens=tokens.remove_token(self.store.records, caller.account, caller.token_id)
        )
        return m.Done()

    async def change_password(self, request: m.ChangePassword) -> m.Reply:
        """The old password is guessed at no better rate here than at the login."""
        caller = self._caller(request.token)
        verify_new_password(request.new, words=(*self.words, caller.account))
        refused = await self._confirm(caller, request.old, request.source)
        if refused is not None:
            return refused
        phc = await self.worker.run(lambda: hash_password(request.new), known=True)
        account = self._account(caller.account)
        if account is None:
            return m.Refused(reason="bad-token", message="log in again")
        records = self.store.records
        self.store.save(
            accounts=self._with_account(msgspec.structs.replace(account, phc=phc)),
            # Whoever had the old password loses every session, token and cookie but this one.
            tokens=tuple(one for one in records.tokens if one.token_id == caller.token_id),
            known=tuple(one for one in records.known if one.account != caller.account),
            throttle=without_account(
                records.throttle, f"login:{caller.account}", key=records.throttle_key
            ),
        )
        self.guard.forget_guesses()
        self._note("password-changed", f"from {request.source}")
        return m.Done()

    async def create_token(self, request: m.CreateToken) -> m.Reply:
        """A named API token; its secret is in this answer and nowhere else."""
        caller = self._caller(request.token)
        opened = tokens.add_api_token(
            self.store.records,
            caller,
            label=request.label,
            access=request.access,
            lifetime=float(request.lifetime_seconds),
            now=self.wall(),
        )
        self.store.save(tokens=opened.records.tokens)
        self._note("token-created", f"{request.label} ({request.access.name.lower()})")
        answer = {
            "token_id": opened.token.token_id,
            "token": opened.secret,
            "label": opened.token.label,
            "access": opened.token.access.name.lower(),
            "expires_at": _moment(opened.token.expires),
        }
        return m.Answer(json=msgspec.json.encode(answer))

    async def list_tokens(self, request: m.ListTokens) -> m.Reply:
        """The caller's sessions and API tokens."""
        caller = self._caller(request.token)
        found = tokens.tokens_of(self.store.records, caller, now=self.wall())
        return m.TokenList(
            tokens=tuple(
                m.TokenRecord(
                    token_id=one.token_id,
                    label=one.label,
                    access=one.access,
                    expires_at=_moment(one.expires),
                )
                for one in found
            )
        )

    async def revoke_token(self, request: m.RevokeToken) -> m.Reply:
        """End a token of the caller's account."""
        caller = self._caller(request.token)
        kept = tokens.remove_token(self.store.records, caller.account, request.token_id)
        self.store.save(tokens=kept)
        self._note("token-revoked", request.token_id)
        return m.Done()

    async def factory_reset(self, request: m.FactoryReset) -> m.Reply:
        """Destroy accounts now and, after this answer, the rest; the label's code counts again."""
        caller = self._caller(request.token)
        if caller.access is not m.Access.OWNER:
            return m.Refused(reason="access-too-low", message="only the owner resets the device")
        state = next_state(self.store.records.state, Change.RESET)
        refused = await self._confirm(caller, request.password, request.source)
        if refused is not None:
            return refused
        throttle = Throttle(time=self.store.records.throttle.time)
        self.store.save(
            state=state, accounts=(), tokens=(), known=(), throttle=throttle, erase_pending=True
        )
        self.guard.forget_guesses()
        self.log.clear()
        self._note("factory-reset", f"from {request.source}")
        self.erase()
        return m.Done()

    async def read_events(self, request: m.ReadEvents) -> m.Reply:
        """The security log, for the owner."""
        if self._caller(request.token).access is not m.Access.OWNER:
            return m.Refused(reason="access-too-low", message="only the owner reads the log")
        return m.EventLog(lines=self.log.read(request.limit))

    async def _confirm(self, caller: StoredToken, password: str, source: str) -> m.Refused | None:
        """The caller proves its password again; counted per token, so a stolen one gains little."""
        account = self._account(caller.account)
        if account is None:
            return m.Refused(reason="bad-token", message="log in again")
        attempt = Attempt(
            account=f"login:{caller.account}",
            source=f"token:{caller.token_id}",
            known=True,
            secret=password,
            policy=PASSWORD,
            event="confirmation-failed",
            address=source,
        )
        phc = account.phc
        return await self.guard.check(attempt, lambda: verify_password(password, phc))

    def _open(
        self, records: Records, account: Account, known: str, event: str, source: str
    ) -> m.SessionOpened:
        """Make everything that led here durable at once, together with the new session."""
        opened = tokens.open_session(
            records, account.name, account.access, known_secret=known, now=self.wall()
        )
        self.store.replace(opened.records)
        self._note(event, f"{account.name} from {source}")
        return m.SessionOpened(
            token=opened.secret,
            known=opened.known_secret,
            access=account.access,
            expires_at=_moment(opened.token.expires),
        )

    def _caller(self, secret: str) -> StoredToken:
        now = self.wall()
        token = tokens.verify_token(self.store.records, secret, now=now)
        if token.session and now - token.used > USED_WRITE_SECONDS:
            with contextlib.suppress(Unavailable):  # a full disk must not end sessions
                self.store.save(tokens=tokens.touched(self.store.records, token, now=now))
        return token

    def _account(self, name: str) -> Account | None:
        return next((one for one in self.store.records.accounts if one.name == name), None)

    def _with_account(self, account: Account) -> tuple[Account, ...]:
        others = (one for one in self.store.records.accounts if one.name != account.name)
        return (*others, account)

    def _note(self, event: str, detail: str) -> None:
        """The log is written after the act: a full disk does not undo what is durable."""
        with contextlib.suppress(Unavailable):
            self.log.append(event, detail)


def _verify_login(password: str, phc: str, *, exists: bool) -> None:
    verify_password(password, phc)
    if not exists:
        raise Rejected("wrong-password", "there is no such account")


def _moment(unix: float) -> datetime:
    return datetime.fromtimestamp(int(unix), UTC)


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
