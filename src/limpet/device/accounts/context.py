"""What every request of accounts works with: the records, the gate, the log, the clocks.

Owns who a caller is, how a password is proved again, and how a session is opened.
Compares no secret itself (see `guard`).
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from limpet.crypto.passwords import hash_password, make_decoy, verify_password
from limpet.crypto.randomness import normalise_code
from limpet.device.accounts import tokens
from limpet.device.accounts.claim import verify_any_code
from limpet.device.accounts.events import SecurityLog
from limpet.device.accounts.guard import Attempt, Guard
from limpet.device.accounts.second_factor import UsedFactor, verify_second
from limpet.device.accounts.states import Change, next_state
from limpet.device.accounts.store import Account, ClaimVerifier, Records, Store, StoredToken
from limpet.device.accounts.throttle import CLAIM, PASSWORD
from limpet.device.accounts.worker import HashWorker
from limpet.device.link import messages as m
from limpet.errors import Rejected, Unavailable

__all__ = ["BUTTON_SECONDS", "Context", "Opened", "moment"]

USED_WRITE_SECONDS = 900.0  # how stale a session's last use may be on disk
BUTTON_SECONDS = 120.0
"""How long after the button was pressed somebody counts as being at the device."""

Opened = m.SessionOpened


@dataclass(slots=True, kw_only=True)
class Context:
    """`wall` is Unix time; `words` are what a guesser knows of the device.

    `erase` asks the supervisor to erase the owner's data. `button`: the product has one.
    `built_at` is a Unix time that is certainly past. `takeover_seconds` is how long the owner
    may object.
    """

    store: Store
    guard: Guard
    worker: HashWorker
    log: SecurityLog
    wall: Callable[[], float]
    words: Sequence[str]
    erase: Callable[[], None]
    monotonic: Callable[[], float] = time.monotonic
    button: bool = False
    takeover_seconds: float = 72 * 3600.0
    built_at: float = 0.0
    device: str = "device"  # as an authenticator app shows it
    pressed_at: float | None = None  # monotonic; memory only: a restart ends the presence
    nobody: str = field(default_factory=make_decoy)
    """The verifier that a name without account is checked against, at the same cost."""

    @property
    def records(self) -> Records:
        """What is durable."""
        return self.store.records

    def caller(self, secret: str) -> StoredToken:
        """The holder of a token. Raises `Rejected("bad-token" | "resetting")`."""
        if self.records.erase_pending:
            raise Rejected("resetting", "the device is being reset; try again in a moment")
        now = self.wall()
        token = tokens.verify_token(self.records, secret, now=now)
        if token.session and now - token.used > USED_WRITE_SECONDS:
            with contextlib.suppress(Unavailable):  # a full disk must not end sessions
                self.store.save(tokens=tokens.touched(self.records, token, now=now))
        return token

    def person(self, secret: str, *, least: m.Access = m.Access.VIEWER) -> StoredToken:
        """A caller who logged in: what decides about people is not for a program's token.

        Raises `Rejected("bad-token" | "needs-session" | "access-too-low")`.
        """
        caller = self.caller(secret)
        if caller.access < least:
            raise Rejected("access-too-low", f"this needs the access {least.name.lower()}")
        if not caller.session:
            raise Rejected("needs-session", "log in: an API token does not decide about people")
        return caller

    def account(self, name: str) -> Account | None:
        """The account called `name`."""
        return next((one for one in self.records.accounts if one.name == name), None)

    def with_account(self, account: Account) -> tuple[Account, ...]:
        """All accounts, `account` in place of the one of its name."""
        others = (one for one in self.records.accounts if one.name != account.name)
        return (*others, account)

    def is_at_the_device(self) -> bool:
        """Whether the button was pressed a moment ago."""
        pressed = self.pressed_at
        return pressed is not None and self.monotonic() - pressed <= BUTTON_SECONDS

    async def confirm(
        self, caller: StoredToken, password: str, second: str, source: str
    ) -> Account | m.Refused:
        """The caller proves password and second factor again; a code is thereby used up, durably.

        Counted per token, so that a stolen one gains little.
        """
        account = self.account(caller.account)
        if account is None:
            return m.Refused(reason="bad-token", message="log in again")
        proved = await self.prove(
            account,
            password,
            second,
            source=f"token:{caller.token_id}",
            known=True,
            needs_second=True,
            event="confirmation-failed",
            address=source,
        )
        if isinstance(proved, Account) and proved != account:
            self.store.save(accounts=self.with_account(proved))
        return proved

    async def prove(
        self,
        account: Account,
        password: str,
        second: str,
        *,
        source: str,
        known: bool,
        needs_second: bool,
        event: str,
        address: str,
        exists: bool = True,
    ) -> Account | m.Refused:
        """The account as it is once its second factor's code is used up; not yet durable.

        One guess of password and code together: with a right password and a wrong code it
        counts as wrong, or the code could be guessed without delay.
        """
        factor = account.factor if needs_second else None
        used: list[UsedFactor] = []

        def verify() -> None:
            _verify_login(password, account.phc, exists=exists)
            if factor is not None:
                used.append(verify_second(factor, second, wall=self.wall(), built_at=self.built_at))

        attempt = Attempt(
            account=f"login:{account.name}",
            source=source,
            known=known,
            secret=f"{password}\0{second}",
            policy=PASSWORD,
            event=event,
            address=address,
        )
        refused = await self.guard.check(attempt, verify)
        if refused is not None:
            return refused
        now = self.account(account.name) if exists else None  # it may have changed meanwhile
        if now is None or now.phc != account.phc:
            return m.Refused(reason="wrong-credentials", message="name or password is not right")
        if not used:
            return now
        if now.factor is None:
            return now
        return msgspec.structs.replace(now, factor=used[0].spend(now.factor))

    async def check_code(
        self, what: str, code: str, verifiers: Callable[[], Sequence[ClaimVerifier]], source: str
    ) -> ClaimVerifier | m.Refused:
        """The verifier that a code fits. `what` names the guesser's lane and the event."""
        code = normalise_code(code)
        found: list[ClaimVerifier] = []
        attempt = Attempt(
            account=what,
            source=source,
            known=False,
            secret=code,
            policy=CLAIM,
            event=f"{what}-failed",
            address=source,
        )
        refused = await self.guard.check(
            attempt, lambda: found.append(verify_any_code(code, verifiers()))
        )
        if refused is not None:
            return refused
        if found[0] not in verifiers():  # another use of the code may have won meanwhile
            return m.Refused(reason="wrong-code", message="this is not the right code")
        return found[0]

    async def hash(self, password: str) -> str:
        """A new password's verifier, made in its turn."""
        return await self.worker.run(lambda: hash_password(password), known=True)

    def open(self, records: Records, account: Account, known: str, source: str) -> Opened:
        """Make everything that led here durable at once, together with the new session.

        An owner who logs in is there: that ends a takeover.
        """
        objected = records.takeover is not None and account.access is m.Access.OWNER
        if objected:
            state = next_state(records.state, Change.OBJECT)
            records = msgspec.structs.replace(records, state=state, takeover=None)
        opened = tokens.open_session(
            records, account.name, account.access, known_secret=known, now=self.wall()
        )
        self.store.replace(opened.records)
        if objected:
            self.note("takeover-cancelled", f"{account.name} logged in from {source}")
        return Opened(
            token=opened.secret,
            known=opened.known_secret,
            access=account.access,
            expires_at=moment(opened.token.expires),
        )

    def note(self, event: str, detail: str) -> None:
        """The log is written after the act: a full disk does not undo what is durable."""
        with contextlib.suppress(Unavailable):
            self.log.append(event, detail)


def moment(unix: float) -> datetime:
    """A Unix time as an instant, in whole seconds."""
    return datetime.fromtimestamp(int(unix), UTC)


def _verify_login(password: str, phc: str, *, exists: bool) -> None:
    try:
        verify_password(password, phc)
    except Rejected as error:
        raise Rejected("wrong-credentials", "name or password is not right") from error
    if not exists:
        raise Rejected("wrong-credentials", "name or password is not right")
