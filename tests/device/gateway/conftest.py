"""A stand: the real accounts, app and gateway processes of a thermostat, confined, on loopback.

The test plays the two roles that it watches or that need a vendor: the supervisor
(starts, links, restarts) and the updater (signs the gateway's certificate).
"""

import asyncio
import contextlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from tests.device.workshop import compile_sources, example_product

import limpet
from limpet.crypto.certificates import issue_operational, make_root
from limpet.crypto.names import pinned_name
from limpet.crypto.requests import verify_request
from limpet.crypto.tls import client_context
from limpet.device.enclosure.ownership import own_private
from limpet.device.enclosure.users import find_users
from limpet.device.link import messages as m
from limpet.device.link.channel import Channel
from limpet.device.link.identity import DeviceIdentity, save_identity
from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.device.supervisor._child import Child
from limpet.device.supervisor._enclosures import enclosure_of
from limpet.device.supervisor.status import DeviceStatus, RoleStatus, write_status
from limpet.errors import LimpetError
from limpet.firmware.description import DESCRIPTION_FILE, FirmwareDescription
from limpet.https.client import ClientResponse, HttpsClient
from limpet.product import load_product

EXAMPLE = example_product()
SERIAL = "TH-A1B2C3D4"
PASSWORD = "violet anchors drift slowly"
RUNTIME = ("__init__.py", "py.typed", "errors.py", "storage.py", "crypto", "https", "product",
           "wire", "firmware", "device")  # fmt: skip

T = TypeVar("T")


def make_slot(slot: Path, root_pem: bytes) -> None:
    source = Path(limpet.__file__).parent
    for name in RUNTIME:
        target = slot / "runtime" / "limpet" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source / name, target)
    shutil.copytree(EXAMPLE / "app", slot / "app", ignore=shutil.ignore_patterns("__pycache__"))
    compile_sources(slot)
    shutil.copy(EXAMPLE / "product.toml", slot)
    (slot / "trust").mkdir()
    (slot / "trust" / "device-root.pem").write_bytes(root_pem)
    product = load_product(slot / "product.toml")
    description = FirmwareDescription(
        model=product.model.name,
        hardware_revisions=product.model.hardware_revisions,
        version="1.0.0",
        security_counter=1,
        interface_version=1,
        built_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    (slot / DESCRIPTION_FILE).write_bytes(msgspec.json.encode(description))


class Stand:
    """The running roles; every method may be called from the test's thread."""

    def __init__(self, root: Path, *, listen: str = "127.0.0.1:0") -> None:
        self.root, self._listen = root, listen
        self.device_root = make_root("device root", now=datetime.now(UTC))
        make_slot(root / "slots" / "a", self.device_root.certificate_pem())
        product = load_product(root / "slots" / "a" / "product.toml")
        self.identity = DeviceIdentity(
            maker=product.maker.name,
            model=product.model.name,
            hardware_revision=product.model.hardware_revisions[0],
            serial=SERIAL,
            manufactured_at=datetime.now(UTC),
        )
        save_identity(root, self.identity)
        for role in (Role.ACCOUNTS, Role.APP, Role.GATEWAY):
            (root / role.value).mkdir(mode=0o700)
        (root / "run").mkdir()
        self.log: list[m.LogEvent] = []
        self.stderr: list[str] = []
        self.requests: list[m.Request] = []
        self.children: dict[Role, Child] = {}
        self.lifetime = timedelta(days=30)
        self.vendor_reachable = True
        self.erases = True
        self.update = m.UpdateStatus(policy=m.UpdatePolicy(), running="1.0.0", slot="a")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._tasks: list[asyncio.Task[None]] = []
        self.code = ""

    def on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(150)

    def start(self, role: Role, *, factory: bool = False) -> None:
        self.on_loop(self._start(role, factory=factory))

    async def _start(self, role: Role, *, factory: bool = False) -> None:
        child = Child(role, answer=self._answer, violated=lambda *_: None)
        self.children[role] = child
        ends: dict[Role, socket.socket] = {}
        pairs = {Role.ACCOUNTS: (Role.GATEWAY,), Role.APP: (Role.GATEWAY,),
                 Role.GATEWAY: (Role.ACCOUNTS, Role.APP)}  # fmt: skip
        for peer in pairs[role]:
            other = self.children.get(peer)
            if other is not None and other.is_alive:
                ours, theirs = socket.socketpair()
                assert other.hand_over(role, theirs)
                theirs.close()
                ends[peer] = ours
        if role is Role.GATEWAY:
            ours, ends[Role.UPDATER] = socket.socketpair()
            updater = Channel(
                me=Role.UPDATER, peer=role, answer=self._update, violated=lambda *_: None
            )
            self._tasks.append(asyncio.ensure_future(updater.run(ours)))
        start = Start(
            role=role, root=self.root, slot="a", factory=factory,
            options={"listen": (self._listen,)},
        )  # fmt: skip
        users = find_users(start.root, first=None)
        if users is not None:
            own_private(self.root, users)
        into = enclosure_of(start, users, calls_out=False)
        # A role learns its links when it starts: those of peers that come later are handed over.
        await child.start(
            start, ends, into=into, stderr_line=lambda _, line: self.stderr.append(line)
        )
        ready = asyncio.ensure_future(child.ready.wait())
        ended = asyncio.ensure_future(child.wait())
        await asyncio.wait({ready, ended}, timeout=120, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        assert child.ready.is_set(), (self.stderr, self.log)

    async def _answer(self, caller: Role, request: m.Request) -> m.Reply:
        self.requests.append(request)
        if isinstance(request, m.Ready):
            self.children[caller].confinement = request.confinement
            self.children[caller].ready.set()
            self._tell_status()
        if isinstance(request, m.LogEvent):
            self.log.append(request)
        if isinstance(request, m.EraseData) and not self.erases:
            return m.Refused(reason="unavailable")
        return m.Done()

    def _tell_status(self) -> None:
        """As the supervisor does when a role is ready."""
        status = DeviceStatus(
            supervisor_pid=os.getpid(),
            slot="a",
            version="1.0.0",
            on_trial=False,
            started_at=datetime.now(UTC),
            roles=tuple(
                RoleStatus(
                    role=child.role.value,
                    pid=child.pid,
                    state="running",
                    restarts=0,
                    confinement=child.confinement,
                )
                for child in self.children.values()
            ),
        )
        write_status(self.root, status)

    async def _update(self, caller: Role, request: m.Request) -> m.Reply:
        self.requests.append(request)
        if isinstance(request, m.ReadUpdateStatus):
            return self.update
        if isinstance(request, m.EnrollCertificate):
            if not self.vendor_reachable:
                return m.Refused(reason="unavailable", message="the vendor is out of reach")
            chain = issue_operational(
                self.device_root,
                verify_request(request.csr_pem.encode()),
                now=datetime.now(UTC),
                lifetime=self.lifetime,
                addresses=("127.0.0.1",),
            )
            return m.Certificate(chain_pem=chain.decode())
        return m.Done()

    def mint(self) -> str:
        """As the factory does: accounts alone, asked for the label's code."""
        self.start(Role.ACCOUNTS, factory=True)
        reply = self.on_loop(self.children[Role.ACCOUNTS].channel.call(m.MintClaimCode()))
        assert isinstance(reply, m.ClaimCode)
        self.on_loop(self.children[Role.ACCOUNTS].stop())
        self.code = reply.code
        return reply.code

    def kill(self, role: Role) -> None:
        async def end() -> None:
            self.children[role].kill()
            await self.children[role].wait()

        self.on_loop(end())

    @property
    def port(self) -> int:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            events = [event for event in self.log if event.event == "listening"]
            if events:
                return int(events[-1].detail.rpartition(":")[2])
            time.sleep(0.01)
        raise AssertionError("the gateway does not listen")

    def wait_enrolled(self, count: int = 1) -> None:
        end = time.monotonic() + 120
        while sum(event.event == "enrolled" for event in self.log) < count:
            assert time.monotonic() < end, self.log
            time.sleep(0.01)

    def client(self) -> HttpsClient:
        near = "[::1]" if self._listen.startswith("[") else "127.0.0.1"
        host = pinned_name(SERIAL)
        return HttpsClient(
            f"https://{host}:{self.port}",
            tls=client_context(roots_pem=self.device_root.certificate_pem()),
            resolve={f"{host}:{self.port}": f"{near}:{self.port}"},
        )

    def close(self) -> None:
        async def stop() -> None:
            with contextlib.suppress(LimpetError):
                await asyncio.gather(*(child.stop() for child in self.children.values()))
            for task in self._tasks:
                task.cancel()

        self.on_loop(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


class Person:
    """Uses the API as a program of the owner would."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.client = stand.client()
        self.token = ""
        self.known = ""

    def ask(
        self, method: str, path: str, body: Any = None, *, token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any, ClientResponse]:  # fmt: skip
        sent = dict(headers or {})
        shown = self.token if token is None else token
        if shown:
            sent["authorization"] = f"Bearer {shown}"
        data = b""
        if body is not None:
            data = body if isinstance(body, bytes) else msgspec.json.encode(body)
            sent.setdefault("content-type", "application/json")
        answer = self.client.request(method, path, data, max_bytes=1 << 20, headers=sent)
        kind = answer.headers.get("content-type", "")
        value = msgspec.json.decode(answer.body) if "json" in kind else answer.body
        return answer.status, value, answer

    def claim(self, code: str | None = None) -> None:
        body = {"code": code or self.stand.code, "name": "owner", "password": PASSWORD}
        status, value, _ = self.ask("POST", "/v1/claim", body)
        assert status == 201, value
        self.token, self.known = value["token"], value["known"]


def begin(root: Path, *, listen: str = "127.0.0.1:0") -> Stand:
    """A running stand, unclaimed; who calls closes it."""
    stand = Stand(root, listen=listen)
    try:
        stand.mint()
        for role in (Role.ACCOUNTS, Role.APP, Role.GATEWAY):
            stand.start(role)
        stand.wait_enrolled()
    except BaseException:
        stand.close()
        raise
    return stand


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    """A device of its own, unclaimed."""
    running = begin(tmp_path)
    yield running
    running.close()


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """The owner of a claimed device that the tests of a module share and leave as it is."""
    running = begin(tmp_path_factory.mktemp("device"))
    person = Person(running)
    person.claim()
    yield person
    running.close()
