"""The ownership target: a session with the real API and the real accounts, step by step.

Bytes are read as requests: who claims, logs in, changes what, with which token. Its
promises: no answer is a fault of ours; nothing that needs a token is served without a
living one; a token that was ended stays dead; a session is opened by a right secret only.
"""

import asyncio
import functools
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from limpet.crypto.passwords import PasswordProfile, hash_password
from limpet.device.accounts import service as accounts
from limpet.device.accounts.role import build_service
from limpet.device.gateway.api import Api
from limpet.device.gateway.compartments import Compartments
from limpet.device.gateway.facts import Facts, load_facts
from limpet.device.gateway.operations import Operations
from limpet.device.gateway.routes import ROUTES, Operation
from limpet.device.link import messages as m
from limpet.device.link.identity import DeviceIdentity, save_identity
from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.firmware.description import DESCRIPTION_FILE, FirmwareDescription
from limpet.https.message import Peer, Request
from limpet.product import PRODUCT_FILE

__all__ = ["STEP_BYTES", "run_session"]

STEP_BYTES = 4  # route, credential, body, variant
MOST_STEPS = 24
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (a disk would only slow the fuzzer down)
PASSWORDS = ("violet anchors drift slowly", "seven quiet lanterns burn", "short")
CHEAP = PasswordProfile(memory_kib=32, passes=1, lanes=1)
PRODUCT = Path(__file__).parents[1] / "examples" / "thermostat" / PRODUCT_FILE
_LOOP = asyncio.new_event_loop()
_NOW = datetime(2026, 11, 22, tzinfo=UTC)
_OPENS = {Operation.CLAIM, Operation.LOGIN}
_ENDS = {Operation.LOGOUT, Operation.CHANGE_PASSWORD, Operation.RESET}

# The cost of a hash is not under test here, and a fuzzer needs many.
accounts.hash_password = functools.partial(hash_password, profile=CHEAP)  # type: ignore[assignment]
accounts.is_current = lambda phc: True  # type: ignore[assignment]


def run_session(data: bytes) -> None:
    """One life of a device, from its label on."""
    place = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="limpet-fuzz-", dir=place) as name:
        _LOOP.run_until_complete(_Session(Path(name)).run(data))


@functools.cache
def _facts() -> Facts:
    with tempfile.TemporaryDirectory(prefix="limpet-fuzz-") as name:
        root = Path(name)
        identity = DeviceIdentity(
            maker="Example",
            model="thermostat",
            hardware_revision="A1",
            serial="TH-1",
            manufactured_at=_NOW,
        )
        save_identity(root, identity)
        slot = root / "slots" / "a"
        slot.mkdir(parents=True)
        (slot / PRODUCT_FILE).write_bytes(PRODUCT.read_bytes())
        description = FirmwareDescription(
            model="thermostat",
            hardware_revisions=("A1",),
            version="1.0.0",
            security_counter=1,
            interface_version=1,
            built_at=_NOW,
        )
        (slot / DESCRIPTION_FILE).write_bytes(msgspec.json.encode(description))
        return load_facts(Start(role=Role.GATEWAY, root=root, slot="a"))


class _Session:
    def __init__(self, root: Path) -> None:
        start = Start(role=Role.ACCOUNTS, root=root, slot="a", factory=True)
        self._accounts = build_service(start, bus=None, erase=lambda: None)
        self._serve = self._accounts.handlers()
        self._api = self._make_api()
        self._code, self._known, self._password = "", "", ""
        self._tokens: list[str] = []
        self._dead: set[str] = set()

    def _make_api(self) -> Api:
        return Api(
            Operations(
                call=self._call,
                facts=_facts(),
                promote=lambda _: None,
                compartments=lambda: Compartments({}),
            )
        )

    async def _call(self, callee: Role, request: m.Request, **_: Any) -> m.Reply:
        """The other roles are not here; they refuse."""
        if callee is Role.ACCOUNTS:
            return await self._serve[type(request)](request)
        return m.Refused(reason="unavailable", message="not under test")

    async def run(self, data: bytes) -> None:
        minted = await self._call(Role.ACCOUNTS, m.MintClaimCode())
        assert isinstance(minted, m.ClaimCode)
        self._code = minted.code
        for at in range(0, min(len(data), MOST_STEPS * STEP_BYTES), STEP_BYTES):
            step = data[at : at + STEP_BYTES].ljust(STEP_BYTES, b"\0")
            await self._step(*step, rest=data[at + STEP_BYTES :])
        self._accounts.worker.close()

    async def _step(
        self, which: int, credential: int, body: int, variant: int, rest: bytes
    ) -> None:
        route = ROUTES[which % len(ROUTES)]
        token = self._credential(credential)
        sent = self._body(route.operation, variant) if body % 4 else rest[: variant or 1]
        headers = {"host": "localhost"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        if sent:
            headers["content-type"] = "application/json"
        alive = await self._is_alive(token)
        path = route.path.replace("{id}", "x" * (1 + variant % 70)).replace("{name}", "status")
        request = Request(route.method, path, {}, headers, sent, Peer("192.0.2.1", 50000, None, 1))
        answer = await self._api.handle(request)
        assert answer.status < 500 or answer.status == 503, (path, answer)
        if route.access > m.Access.PUBLIC and answer.status < 400:
            assert alive, f"{path} was served without a living token"
        if answer.status < 400:
            self._enter(route.operation, sent, answer.body, token)
        for dead in self._dead:
            assert not await self._is_alive(dead), "a token that was ended lives"

    async def _is_alive(self, token: str) -> bool:
        if not token:
            return False
        reply = await self._call(Role.ACCOUNTS, m.Authenticate(token=token))
        return isinstance(reply, m.Principal)

    def _credential(self, choice: int) -> str:
        if choice % 4 == 0 or not self._tokens:
            return "A" * 43 if choice & 64 else ""
        return self._tokens[choice // 4 % len(self._tokens)]

    def _body(self, operation: Operation, variant: int) -> bytes:
        password = PASSWORDS[variant % len(PASSWORDS)]
        bodies: Mapping[Operation, dict[str, object]] = {
            Operation.CLAIM: {
                "code": "0123-4567-89AB-CDEF" if variant & 64 else self._code,
                "name": "owner",
                "password": password,
            },
            Operation.LOGIN: {
                "name": "nobody" if variant & 64 else "owner",
                "password": password,
                "known": self._known if variant & 32 else "",
            },
            Operation.CHANGE_PASSWORD: {
                "old": password,
                "new": PASSWORDS[variant // 4 % len(PASSWORDS)],
            },
            Operation.RESET: {"password": password},
            Operation.CREATE_TOKEN: {
                "label": "hub",
                "access": "owner" if variant & 1 else "viewer",
            },
        }
        body = bodies.get(operation)
        return b"" if body is None else msgspec.json.encode(body)

    def _enter(self, operation: Operation, sent: bytes, body: object, token: str) -> None:
        """Keep what was answered, as a person would."""
        secret = operation in _OPENS or operation is Operation.CHANGE_PASSWORD
        asked = msgspec.json.decode(sent, type=dict[str, Any]) if secret else {}
        if operation in _OPENS or operation is Operation.CREATE_TOKEN:
            assert isinstance(body, bytes)
            made = msgspec.json.decode(body)
            self._tokens.append(made["token"])
            self._known = made.get("known", self._known)
        if operation in _OPENS:
            right = asked.get("code") == self._code or asked["password"] == self._password
            assert right, "a wrong secret opened a session"
            self._password = asked["password"]
        if operation is Operation.CHANGE_PASSWORD:
            self._password = asked["new"]
        if operation in _ENDS:
            kept = {token} if operation is Operation.CHANGE_PASSWORD else set()
            ended = {token} if operation is Operation.LOGOUT else set(self._tokens) - kept
            self._dead |= ended
            self._tokens = [one for one in self._tokens if one not in ended]
        if operation is Operation.RESET:
            self._accounts.store.save(erase_pending=False)  # as when the data are erased
            self._api, self._password = self._make_api(), ""  # and the device has restarted
