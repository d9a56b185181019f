"""Second factors: enrolment in two steps, and doing without again.

Owns the secret that is not confirmed yet. It is in memory only: a restart, or ten
minutes, and the person begins anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from limpet.device.accounts.second_factor import (
    make_recovery_codes,
    new_secret,
    secret_text,
    secret_uri,
    verify_code_of,
)
from limpet.device.accounts.store import SecondFactor
from limpet.device.link import messages as m
from limpet.errors import Rejected

if TYPE_CHECKING:
    from limpet.device.accounts.context import Context

__all__ = ["ENROL_SECONDS", "MAX_WRONG_FIRST_CODES", "Factors"]

ENROL_SECONDS = 600.0
MAX_WRONG_FIRST_CODES = 5
"""A typing error is forgiven; whoever guesses begins anew, with the password."""


@dataclass(slots=True)
class _Begun:
    secret: bytes
    token_id: str
    until: float  # monotonic
    wrong: int = 0


@dataclass(slots=True)
class Factors:
    """The requests about second factors."""

    context: "Context"
    _begun: dict[str, _Begun] = field(default_factory=dict)  # by account: at most MAX_PEOPLE

    @property
    def is_begun(self) -> bool:
        """Whether somebody is setting up a second factor now; it would have to begin again."""
        now = self.context.monotonic()
        return any(now <= begun.until for begun in self._begun.values())

    async def begin(self, request: m.BeginSecondFactor) -> m.Reply:
        """A new secret, in this answer only. One that is in force stays so until the first code."""
        within = self.context
        caller = within.person(request.token)
        proved = await within.confirm(caller, request.password, request.second, request.source)
        if isinstance(proved, m.Refused):
            return proved
        secret = new_secret()
        until = within.monotonic() + ENROL_SECONDS
        alive = {one.name for one in within.records.accounts}
        self._begun = {name: begun for name, begun in self._begun.items() if name in alive}
        self._begun[proved.name] = _Begun(secret, caller.token_id, until)
        uri = secret_uri(secret, device=within.device, name=proved.name)
        return _answer({"secret": secret_text(secret), "uri": uri})

    async def confirm(self, request: m.ConfirmSecondFactor) -> m.Reply:
        """The first code proves that app and clock agree; from now on codes are asked for."""
        within = self.context
        caller = within.person(request.token)
        begun = self._begun.get(caller.account)
        if begun is None or begun.token_id != caller.token_id or within.monotonic() > begun.until:
            raise Rejected("no-enrolment", "begin anew: the secret is too old, or there is none")
        try:
            step = verify_code_of(begun.secret, request.code, last_step=-1, wall=within.wall())
        except Rejected as error:
            begun.wrong += 1
            if begun.wrong >= MAX_WRONG_FIRST_CODES:
                del self._begun[caller.account]
            raise Rejected(
                error.reason, "this is not the code of now: are the clocks of both right?"
            ) from error
        account = within.account(caller.account)
        if account is None:
            raise Rejected("bad-token", "log in again")
        codes, digests = make_recovery_codes()
        factor = SecondFactor(secret=begun.secret, last_step=step, recovery=digests)
        changed = msgspec.structs.replace(account, factor=factor)
        within.store.save(accounts=within.with_account(changed))
        del self._begun[caller.account]
        within.note("second-factor-enabled", account.name)
        return _answer({"recovery_codes": codes})

    async def disable(self, request: m.DisableSecondFactor) -> m.Reply:
        """Needs the factor itself, or a recovery code."""
        within = self.context
        caller = within.person(request.token)
        proved = await within.confirm(caller, request.password, request.second, request.source)
        if isinstance(proved, m.Refused):
            return proved
        if proved.factor is None:
            raise Rejected("no-second-factor", "there is no second factor")
        changed = msgspec.structs.replace(proved, factor=None)
        within.store.save(accounts=within.with_account(changed))
        within.note("second-factor-disabled", proved.name)
        return m.Done()


def _answer(value: Mapping[str, object]) -> m.Answer:
    return m.Answer(json=msgspec.json.encode(value))
