"""The accounts service as the role runs it, on a directory and a clock of the test."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from limpet.device.accounts.clock import GuardedClock
from limpet.device.accounts.events import SecurityLog
from limpet.device.accounts.guard import Guard
from limpet.device.accounts.service import AccountsService
from limpet.device.accounts.store import Store
from limpet.device.accounts.worker import HashWorker
from limpet.device.link import messages as m

PASSWORD = "violet anchors drift slowly"
OTHER_PASSWORD = "seven quiet lanterns burn"
BUILT_AT = 1_700_000_000.0
SOURCE = "192.0.2.1"


@dataclass
class Desk:
    """One life of the process; `again()` is the next one after a crash."""

    directory: Path
    now: float = 1_800_000_000.0
    button: bool = False
    erased: int = 0
    code: str = ""
    checks: list[str] = field(default_factory=list)
    service: AccountsService = field(init=False)

    def __post_init__(self) -> None:
        self.again()

    def again(self) -> None:
        store = Store.load(self.directory, fresh=True)
        log = SecurityLog(self.directory, lambda: datetime.fromtimestamp(self.now, UTC))
        worker = HashWorker()
        records = store.records
        guard = Guard(
            store,
            clock=GuardedClock.resume(
                stored=records.throttle.time,
                stored_wall=records.throttle_wall,
                wall=self.now,
                monotonic=lambda: self.now,
            ),
            wall=lambda: self.now,
            worker=worker,
            notice=log.append,
        )
        self.service = AccountsService(
            store=store,
            guard=guard,
            worker=worker,
            log=log,
            wall=lambda: self.now,
            words=("Thermostat", "TH-A1B2C3D4"),
            erase=self._erase,
            monotonic=lambda: self.now,
            button=self.button,
            built_at=BUILT_AT,
            device="Thermostat TH-A1B2C3D4",
        )

    def _erase(self) -> None:
        self.erased += 1

    async def ask(self, request: Any) -> m.Reply:
        return await self.service.handlers()[type(request)](request)

    def mint(self) -> str:
        reply = run(self.ask(m.MintClaimCode()))
        assert isinstance(reply, m.ClaimCode)
        self.code = reply.code
        return reply.code

    def does(self, request: Any) -> m.Reply:
        """One request, at once."""
        return run(self.ask(request))

    def invite(self, owner: str, access: m.Access = m.Access.MEMBER) -> str:
        """The code of a fresh invitation."""
        return str(answer_of(self.does(m.InvitePerson(token=owner, access=access)))["code"])

    def join(self, code: str, name: str, password: str = OTHER_PASSWORD) -> m.SessionOpened:
        request = m.AcceptInvitation(code=code, name=name, password=password, source=SOURCE)
        reply = self.does(request)
        assert isinstance(reply, m.SessionOpened), reply
        return reply

    def claim(self) -> m.SessionOpened:
        reply = run(self.ask(claim_of(self.code or self.mint())))
        assert isinstance(reply, m.SessionOpened)
        return reply


def run(work: Coroutine[Any, Any, m.Reply]) -> m.Reply:
    return asyncio.run(work)


def claim_of(code: str, password: str = PASSWORD, source: str = "192.0.2.1") -> m.Claim:
    return m.Claim(code=code, name="owner", password=password, source=source)


def login_of(
    password: str, *, name: str = "owner", source: str = "192.0.2.1", known: str = ""
) -> m.Login:
    return m.Login(name=name, password=password, source=source, known=known)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def answer_of(reply: m.Reply) -> dict[str, Any]:
    assert isinstance(reply, m.Answer), reply
    return msgspec.json.decode(reply.json, type=dict[str, Any])


Reason = Callable[[m.Reply], str]


def reason_of(reply: m.Reply) -> str:
    assert isinstance(reply, m.Refused), reply
    return reply.reason
