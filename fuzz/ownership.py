"""The ownership target: a session with the real API and the real accounts, step by step.

Bytes are read as requests: who claims, logs in, changes what, with which token. Its
promises: no answer is a fault of ours; nothing that needs a token is served without a
living one; a token that was ended stays dead; a session is opened by a secret that was
given out for it, and by nothing else.
"""

import asyncio
import functools
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec

from limpet.crypto.keys import generate_key
from limpet.crypto.passwords import PasswordProfile, hash_password, is_current
from limpet.device.accounts import context, service
from limpet.device.accounts.role import build_service
from limpet.device.gateway.announcement import Announcement
from limpet.device.gateway.api import Api
from limpet.device.gateway.certificate import Identity
from limpet.device.gateway.compartments import Compartments
from limpet.device.gateway.facts import Facts, load_facts
from limpet.device.gateway.home import HomeOperations
from limpet.device.gateway.household import Household
from limpet.device.gateway.operations import Operations
from limpet.device.gateway.routes import ROUTES, Operation
from limpet.device.link import messages as m
from limpet.device.link.identity import DeviceIdentity, save_identity
from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.firmware.description import DESCRIPTION_FILE, FirmwareDescription
from limpet.https.message import Peer, Request
from limpet.product import PRODUCT_FILE
from limpet.storage import make_directory

__all__ = ["STEP_BYTES", "run_session"]

STEP_BYTES = 4  # route, credential, body, variant
MOST_STEPS = 24
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (a disk would only slow the fuzzer down)
PASSWORDS = ("violet anchors drift slowly", "seven quiet lanterns burn", "short")
CHEAP = PasswordProfile(memory_kib=32, passes=1, lanes=1)
PRODUCT = Path(__file__).parents[1] / "examples" / "thermostat" / PRODUCT_FILE
_LOOP = asyncio.new_event_loop()
_NOW = datetime(2026, 11, 22, tzinfo=UTC)
_BY_CODE = {Operation.CLAIM, Operation.JOIN, Operation.ACCEPT_TRANSFER}
_OPENS = {*_BY_CODE, Operation.LOGIN}
_GIVES_CODE = {Operation.INVITE_PERSON, Operation.OFFER_TRANSFER, Operation.RESET}
_NAMES = ("owner", "anna")


def run_session(data: bytes) -> None:
    """One life of a device, from its label on."""
    place = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    # The cost of a hash is not under test here, and a fuzzer needs many.
    cheap = functools.partial(hash_password, profile=CHEAP)
    with (
        tempfile.TemporaryDirectory(prefix="limpet-fuzz-", dir=place) as name,
        mock.patch.object(context, "hash_password", cheap),
        mock.patch.object(service, "is_current", functools.partial(is_current, profile=CHEAP)),
    ):
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


@functools.cache
def _identity() -> Identity:
    return Identity(
        chain_pem=b"", key=generate_key(), enrolled=False, not_before=_NOW, not_after=_NOW
    )


class _Session:
    def __init__(self, root: Path) -> None:
        start = Start(role=Role.ACCOUNTS, root=root, slot="a", factory=True)
        self._accounts = build_service(start, bus=None, erase=lambda: None)
        self._serve = self._accounts.handlers()
        self._root = root
        self._api = self._make_api()
        self._codes: list[str] = []  # of the label, invitations, transfers and resets
        self._known = ""
        self._passwords: dict[str, str] = {}  # of those who have an account
        self._holders: dict[str, str] = {}  # token -> name
        self._dead: set[str] = set()

    def _make_api(self) -> Api:
        facts, own = _facts(), make_directory(self._root / "gateway")
        model, serial = facts.identity.model, facts.identity.serial
        operations = Operations(
            call=self._call,
            facts=facts,
            promote=lambda _: None,
            compartments=lambda: Compartments({}),
        )
        home = HomeOperations(
            serial=serial,
            household=Household(own, model=model, serial=serial, addresses=(), log=lambda *_: None),
            announcement=Announcement(own, facts, lambda said: self._call(Role.ANNOUNCER, said)),
            identity=_identity,
        )
        return Api(operations, home)

    async def _call(self, callee: Role, request: m.Request, **_: Any) -> m.Reply:
        """The other roles are not here; they refuse."""
        if callee is Role.ACCOUNTS:
            return await self._serve[type(request)](request)
        return m.Refused(reason="unavailable", message="not under test")

    async def run(self, data: bytes) -> None:
        minted = await self._call(Role.ACCOUNTS, m.MintClaimCode())
        assert isinstance(minted, m.ClaimCode)
        self._codes.append(minted.code)
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
        tokens = list(self._holders)
        if choice % 4 == 0 or not tokens:
            return "A" * 43 if choice & 64 else ""
        return tokens[choice // 4 % len(tokens)]

    def _body(self, operation: Operation, variant: int) -> bytes:
        password = PASSWORDS[variant % len(PASSWORDS)]
        name = _NAMES[variant // 8 % len(_NAMES)]
        known = self._known if variant & 32 else ""
        code = (
            "0123-4567-89AB-CDEF" if variant & 64 else self._codes[variant // 4 % len(self._codes)]
        )
        granted = "member" if variant & 1 else "viewer"
        bodies: Mapping[Operation, dict[str, object]] = {
            **{one: {"code": code, "name": name, "password": password} for one in _BY_CODE},
            Operation.LOGIN: {"name": name, "password": password, "known": known},
            Operation.CHANGE_PASSWORD: {
                "old": password,
                "new": PASSWORDS[variant // 4 % len(PASSWORDS)],
            },
            Operation.RESET: {"password": password},
            Operation.OFFER_TRANSFER: {"password": password, "erase": bool(variant & 16)},
            Operation.INVITE_PERSON: {"access": granted},
            Operation.CHANGE_ACCESS: {"name": name, "access": granted},
            Operation.REMOVE_PERSON: {"name": name},
            Operation.TAKE_OVER: {"code": code},
            Operation.BEGIN_SECOND_FACTOR: {"password": password},
            Operation.CREATE_TOKEN: {"label": "hub", "access": granted},
        }
        body = bodies.get(operation)
        return b"" if body is None else msgspec.json.encode(body)

    def _enter(self, operation: Operation, sent: bytes, body: object, token: str) -> None:
        """Keep what was answered, as a person would."""
        asked = _document(sent)
        made = _document(body) if isinstance(body, bytes) else {}
        before = dict(self._holders)
        if operation in _OPENS:
            if operation is Operation.LOGIN:
                right = asked["password"] == self._passwords.get(asked["name"])
            else:
                right = asked["code"] in self._codes
            assert right, "a session was opened by a secret that nobody gave out"
        if operation is Operation.LOGOUT:
            self._end({token})
        elif operation is Operation.CHANGE_PASSWORD:
            self._passwords[before[token]] = asked["new"]
            self._end({one for one, name in before.items() if name == before[token]} - {token})
        elif operation is Operation.REMOVE_PERSON:
            self._end({one for one, name in before.items() if name == asked["name"]})
        elif operation in (Operation.RESET, Operation.ACCEPT_TRANSFER):
            self._end(set(before))
            self._passwords.clear()
        if operation in _BY_CODE:
            self._passwords[asked["name"]] = asked["password"]
        if operation in _OPENS or operation is Operation.CREATE_TOKEN:
            name = asked["name"] if operation in _OPENS else before[token]
            self._holders[made["token"]] = name
            self._known = made.get("known", self._known)
        if operation in _GIVES_CODE:
            self._codes.append(made["code"])
        if self._accounts.records.erase_pending:
            self._accounts.ownership.erased()  # the supervisor has done it,
            self._api = self._make_api()  # and the device has restarted

    def _end(self, tokens: set[str]) -> None:
        self._dead |= tokens
        for token in tokens:
            self._holders.pop(token, None)


def _document(data: bytes) -> dict[str, Any]:
    """A JSON object; anything else is an empty one."""
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}
