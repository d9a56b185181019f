"""A device's API on a real TLS server on loopback, with certificates as the vendor issues them."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from limpet.crypto.certificates import Issuer, issue_operational, make_intermediate, make_root
from limpet.crypto.keys import generate_key, pin_text, spki_sha256
from limpet.crypto.requests import Purpose, make_request, verify_request
from limpet.crypto.tls import server_context
from limpet.https.message import Request, Response, problem
from limpet.https.server import Server, serve
from limpet.product.label import LabelClaim

SERIAL = "TH-00C0FFEE"
CODE = "0123-4567-89AB-CDEF"
PASSWORD = "correct horse battery"
FUNCTIONS = [
    {
        "name": "set_target", "kind": "action", "access": "member", "summary": "Set a target",
        "arguments": {"type": "object", "properties": {"celsius": {"type": "number"}}},
        "result": {},
    },
    {
        "name": "temperature", "kind": "reading", "access": "viewer", "summary": "Room",
        "unit": "°C",
        "arguments": {"type": "object", "properties": {}}, "result": {"type": "number"},
    },
    {
        "name": "history", "kind": "reading", "access": "viewer", "summary": "Past",
        "arguments": {"type": "object", "properties": {"hours": {"type": "number"}}}, "result": {},
    },
    {
        "name": "rename", "kind": "action", "access": "member", "summary": "Name it",
        "arguments": {"type": "object", "properties": {"name": {"type": "string"}}}, "result": {},
    },
]  # fmt: skip


@dataclass
class Device:
    """What the served device knows; a test changes it."""

    serial: str = SERIAL
    claimed: bool = False
    password: str = PASSWORD
    throttled: str = ""
    restart: int = 0  # requests that go unanswered after a check, while new firmware starts
    absent: int = 0
    update: dict[str, Any] = field(default_factory=dict)
    postponed: int = 0
    policy: Any = field(
        default_factory=lambda: {
            "automatic": True,
            "window": {"days": [0, 1, 2, 3, 4, 5, 6], "start_minute": 0, "end_minute": 1440,
                       "zone": "UTC"},
            "interval_seconds": None,
        }
    )  # fmt: skip
    seen: list[tuple[str, str, Any]] = field(default_factory=list)

    async def __call__(self, request: Request) -> Response:
        body = msgspec.json.decode(request.body) if request.body else None
        self.seen.append((request.method, request.path, body))
        if self.absent:
            self.absent -= 1
            return problem(503, "unavailable", "try again later")
        if request.path == "/v1/identity":
            return _json(self.identity())
        if self.throttled and request.path in ("/v1/claim", "/v1/login"):
            return problem(429, "throttled", headers={"retry-after": self.throttled})
        if request.path == "/v1/claim":
            return self.claim(body)
        if request.path == "/v1/login":
            if (body["name"], body["password"]) != ("owner", self.password):
                return problem(401, "wrong-credentials", "name or password is not right")
            return self.session()
        if request.headers.get("authorization") != "Bearer session-token":
            return problem(401, "bad-token", "log in again")
        return self.authenticated(request, body)

    def identity(self) -> dict[str, Any]:
        return {
            "maker": "Example Instruments", "model": "thermostat", "hardware_revision": "A1",
            "firmware_revision": "1.0.0", "serial": self.serial, "claimed": self.claimed,
            "support": {"until": "2031-12-31", "over": False, "text": ""},
            "security_contact": ["mailto:security@example.com"], "later_field": 1,
        }  # fmt: skip

    def claim(self, body: Any) -> Response:
        if self.claimed:
            return problem(409, "already-claimed")
        if body["code"] != CODE.replace("-", ""):
            return problem(403, "wrong-code", "this is not the code on the label")
        self.claimed = True
        return self.session()

    def session(self) -> Response:
        expires = datetime.now(UTC) + timedelta(hours=12)
        return _json(
            {"token": "session-token", "known": "known-cookie", "access": "owner",
             "expires_at": expires}, 201,
        )  # fmt: skip

    def authenticated(self, request: Request, body: Any) -> Response:
        match request.method, request.path:
            case "GET", "/v1/functions":
                return _json(FUNCTIONS)
            case "GET", "/v1/functions/temperature":
                return _json(20.5)
            case "GET", "/v1/functions/history":
                return _json([{"hours": request.query.get("hours")}])
            case "POST", "/v1/functions/set_target" | "/v1/functions/rename":
                return _json(body)
            case "GET", "/v1/update":
                return _json({"policy": self.policy, "running": "1.0.0", "slot": "a",
                              "available": "1.1.0", "state": "held",
                              "reason": "phase-in: position 73 %, admitted 25 %",
                              **self.update})  # fmt: skip
            case "POST", "/v1/update/postpone":
                if body["days"] > 30:
                    return problem(400, "hold-too-long", "for 30 days at most")
                self.postponed = body["days"]
                return Response(204)
            case "PUT", "/v1/update/policy":
                self.policy = body
                return Response(204)
            case "POST", "/v1/update/check" if self.restart:
                self.absent = self.restart
                return problem(503, "unavailable", "try again later")
            case "POST", "/v1/tokens":
                return _json({"token_id": "t1", "token": "api-token", **body,
                              "expires_at": datetime.now(UTC)}, 201)  # fmt: skip
            case "GET", "/v1/tokens":
                return _json([{"token_id": "t1", "label": "phone", "access": "viewer",
                               "expires_at": datetime.now(UTC)}])  # fmt: skip
            case "GET", "/v1/events":
                return _json({"lines": ['{"event": "claimed"}', '{"event": "login"}']})
            case "POST", "/v1/reset":
                if body["password"] != self.password:
                    return problem(403, "wrong-password", "the password is not right")
                return _json({"code": "0123-4567-89AB-CDEF"})
            case "GET", "/v1/ownership":
                return problem(404, "not-found")  # firmware of before
            case "POST" | "DELETE" | "PUT", _:
                return Response(204)
        return problem(404, "not-found")


def _json(value: Any, status: int = 200) -> Response:
    return Response(status, {"content-type": "application/json"}, msgspec.json.encode(value))


@dataclass(frozen=True)
class Maker:
    """A maker's device authorities."""

    root: Issuer
    issuer: Issuer

    @property
    def pin(self) -> str:
        return pin_text(spki_sha256(self.root.certificate))

    def label(self, serial: str = SERIAL, code: str = CODE) -> str:
        return LabelClaim(serial=serial, claim_code=code, root_pin=self.pin).uri()


def make_maker() -> Maker:
    now = datetime.now(UTC) - timedelta(days=2)
    root = make_root("Example device root", now=now)
    return Maker(root, make_intermediate(root, "Example operational CA", now=now))


class Running:
    """One server in a thread of its own."""

    def __init__(self, maker: Maker, device: Device) -> None:
        self.maker, self.device = maker, device
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server: Server

    def start(
        self, *, certified: str = SERIAL, days_old: float = 0, purpose: Purpose = Purpose.SERVER
    ) -> "Running":
        key = generate_key()
        request = make_request(key, model="thermostat", serial=certified, purpose=purpose)
        chain = issue_operational(
            self.maker.issuer,
            verify_request(request),
            now=datetime.now(UTC) - timedelta(days=days_old),
            lifetime=timedelta(days=1),
        )
        starting = serve(self.device, host="127.0.0.1", port=0, tls=server_context(chain, key))
        self.server = asyncio.run_coroutine_threadsafe(starting, self.loop).result(10)
        return self

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.port}"

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.close(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


@pytest.fixture(scope="session")
def maker() -> Maker:
    return make_maker()


@pytest.fixture(scope="session")
def other_maker() -> Maker:
    return make_maker()


@pytest.fixture
def new_device(maker: Maker) -> Iterator[Any]:
    """Start a device with chosen properties; all are closed in the end."""
    running: list[Running] = []

    def start(*, by: Maker = maker, device: Device | None = None, **certificate: Any) -> Running:
        running.append(Running(by, device or Device()).start(**certificate))
        return running[-1]

    yield start
    for server in running:
        server.close()


@pytest.fixture
def root_file(tmp_path: Path, maker: Maker) -> Path:
    path = tmp_path / "maker-root.pem"
    path.write_bytes(maker.root.certificate_pem())
    return path
