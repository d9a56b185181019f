"""A little device on the loopback: sound by default, and as vulnerable as `Flaws` says.

Real sockets, real TLS, real certificates; its API is the part of docs/api.md that
the audit's network checks look at. Every flaw is one that shipped devices have had.
"""

import contextlib
import json
import secrets
import socket
import ssl
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn

from limpet.audit import Endpoint, Target
from limpet.crypto.certificates import Issuer, issue_operational, make_root, self_made_name
from limpet.crypto.keys import TlsKey, generate_key, key_to_pem
from limpet.crypto.requests import Purpose, make_request, verify_request

SERIAL = "TH-0A1B2C3D"
PASSWORD = "a long passphrase for the owner"


@dataclass(frozen=True, kw_only=True)
class Flaws:
    """What is wrong with the device."""

    plain_text: bool = False  # HTTP without TLS on the same port
    old_tls: bool = False  # TLS 1.1 at most
    one_cipher: bool = False  # nothing can be negotiated
    wrong_serial: bool = False  # another device's certificate
    no_throttle: bool = False  # every guess is checked
    throttle_by_address_only: bool = False  # each new address starts anew
    default_password: bool = False  # admin/admin
    open_control: bool = False  # functions work without a token
    any_token: bool = False  # any token will do
    open_policy: bool = False  # the update policy can be changed by anybody
    viewer_policy: bool = False  # ... by somebody who may only read
    second_claim: bool = False  # a claimed device can be claimed again
    leaks_key: bool = False  # a private key in an error
    no_identity: bool = False
    identity_asks: bool = False  # the identity needs authentication
    no_contact: bool = False
    contact_expired: bool = False
    automatic_off: bool = False
    no_window: bool = False  # a window is taken and forgotten
    regular_checks: bool = False
    serves_any_host: bool = False  # DNS rebinding works
    relays: bool = False  # an open proxy
    breaks_on_deep_json: bool = False  # answers 500
    one_at_a_time: bool = False  # one silent connection keeps everybody else out
    slow_passwords: bool = False  # a check of a password keeps everybody else out
    no_challenge: bool = False  # 401 without WWW-Authenticate
    forgets_support: bool = False
    self_made: bool = False  # a certificate that no vendor has signed
    self_made_elsewhere: bool = False  # ... but by an authority of another device's
    self_made_chain: bool = False  # ... with the authority beside it


@dataclass
class _State:
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    viewer: str = ""
    policy: dict[str, object] = field(
        default_factory=lambda: {
            "automatic": True,
            "window": {"days": [0, 1, 2], "start_minute": 0, "end_minute": 1440, "zone": "UTC"},
            "interval_seconds": None,
        }
    )
    checks: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Server(HTTPServer):
    request_queue_size = 128
    flaws: Flaws
    state: _State
    context: ssl.SSLContext
    claimed: bool

    def handle_error(self, request: object, client_address: object) -> None:
        del request, client_address  # hostile clients are what it is for

    def finish_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        request.settimeout(5.0)
        first = request.recv(1, socket.MSG_PEEK)
        if not first:
            return
        if first != b"\x16":
            if self.flaws.plain_text:
                _Handler(request, client_address, self)
            return
        with self.context.wrap_socket(request, server_side=True) as tls:
            _Handler(tls, client_address, self)


class _Threaded(ThreadingMixIn, _Server):
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer
    server: _Server
    timeout = 5.0

    def log_message(self, format: str, *args: object) -> None:
        del format, args

    def handle_expect_100(self) -> bool:
        return False

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_DELETE = do_CONNECT = do_GET

    def _serve(self) -> None:
        flaws = self.server.flaws
        if flaws.relays and (self.command == "CONNECT" or self.path.startswith("http://")):
            return self._answer(200, {"relayed": True})
        if self.command == "CONNECT" or not self.path.startswith("/"):
            return self._answer(400)
        lengths = self.headers.get_all("content-length") or []
        if len(lengths) > 1 or self.headers.get("transfer-encoding"):
            return self._answer(400)
        if lengths and not lengths[0].isdigit():
            return self._answer(400)
        body = self.rfile.read(int(lengths[0])) if lengths else b""
        host = (self.headers.get("host") or "").rpartition(":")[0] or self.headers.get("host")
        if host not in ("127.0.0.1", "localhost") and not flaws.serves_any_host:
            return self._answer(421)
        if self.headers.get("origin") and not flaws.serves_any_host:
            return self._answer(403)
        try:
            document = json.loads(body) if body else {}
        except (ValueError, RecursionError):
            deep = body.startswith(b"[[") and flaws.breaks_on_deep_json
            return self._answer(500 if deep else 400)
        if not isinstance(document, dict):
            return self._answer(500 if flaws.breaks_on_deep_json else 400)
        self._route(document)

    def _route(self, document: dict[str, object]) -> None:
        flaws, state = self.server.flaws, self.server.state
        key = (self.command, self.path)
        if key == ("GET", "/v1/identity"):
            if flaws.identity_asks and not self._access():
                return self._unauthorized()
            return self._answer(404) if flaws.no_identity else self._answer(200, self._identity())
        if key == ("GET", "/.well-known/security.txt"):
            return self._contact()
        if key == ("POST", "/v1/claim") and not self.server.claimed:
            return self._check("claim", False)
        if key == ("POST", "/v1/claim"):
            return self._answer(201 if flaws.second_claim else 409)
        if key == ("POST", "/v1/login") and self.server.claimed:
            right = document.get("password") == PASSWORD
            name = str(document.get("name"))
            known = (name, document.get("password")) == ("admin", "admin")
            return self._check(name, right or (flaws.default_password and known))
        if not self.server.claimed and not flaws.open_control:
            return self._answer(403, {"reason": "unclaimed"})
        access = self._access()
        if key == ("PUT", "/v1/update/policy"):
            allowed = flaws.open_policy or access >= (1 if flaws.viewer_policy else 3)
            if allowed:
                if flaws.no_window:
                    document["window"] = state.policy["window"]
                state.policy = document
                return self._answer(204)
            return self._answer(403) if access else self._unauthorized()
        if not access and not (flaws.open_control and "/functions" in self.path):
            return self._unauthorized()
        self._function(key, access)

    def _function(self, key: tuple[str, str], access: int) -> None:
        state, flaws = self.server.state, self.server.flaws
        if key == ("GET", "/v1/openapi.json"):
            return self._answer(200, _openapi())
        if key == ("GET", "/v1/update"):
            pause = 21600 if flaws.regular_checks else 15000 + secrets.randbelow(12000)
            at = datetime.now(UTC)
            following = (at + timedelta(seconds=pause)).isoformat()
            return self._answer(
                200,
                {
                    "policy": {**state.policy, "automatic": False}
                    if flaws.automatic_off
                    else state.policy,
                    "running": "1.0.0",
                    "last_check": at.isoformat(),
                    "next_check": following,
                },
            )
        if key == ("POST", "/v1/update/check"):
            state.checks += 1
            return self._answer(204)
        if key == ("POST", "/v1/tokens") and access >= 3:
            state.viewer = secrets.token_urlsafe(32)
            return self._answer(201, {"token_id": "viewer", "token": state.viewer})
        if key == ("PUT", "/v1/password"):
            return self._answer(204)
        if "/functions" in self.path:
            return self._answer(200, {"temperature": 20.5})
        return self._answer(404)

    def _identity(self) -> dict[str, object]:
        identity: dict[str, object] = {
            "maker": "Example Instruments",
            "model": "thermostat",
            "hardware_revision": "A1",
            "firmware_revision": "1.0.0",
            "serial": "TH-FFFFFFFF" if self.server.flaws.wrong_serial else SERIAL,
            "claimed": self.server.claimed,
        }
        if not self.server.flaws.forgets_support:
            identity["support"] = {"until": "2031-12-31", "over": False, "text": "It works on."}
        return identity

    def _contact(self) -> None:
        if self.server.flaws.no_contact:
            return self._answer(404)
        days = -1 if self.server.flaws.contact_expired else 300
        expires = (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = f"Contact: mailto:security@example.com\nExpires: {expires}\n"
        self._send(200, text.encode(), {"content-type": "text/plain"})

    def _check(self, account: str, right: bool) -> None:
        """A password: a throttle over address and account, unless the device has none."""
        flaws, state = self.server.flaws, self.server.state
        own, all_of = f"{account} {self.client_address[0]}", account
        with state.lock:
            mine, together = state.failures.get(own, 0), state.failures.get(all_of, 0)
            by_all = together >= 10 and not flaws.throttle_by_address_only
            if (mine >= 3 or by_all) and not flaws.no_throttle:
                return self._send(429, b"", {"retry-after": str(min(2**mine, 900))})
            if right:
                return self._answer(201, {"token": state.token})
            state.failures[own], state.failures[all_of] = mine + 1, together + 1
            if flaws.slow_passwords:
                time.sleep(0.4)
        self._unauthorized()

    def _access(self) -> int:
        state = self.server.state
        if self.server.flaws.slow_passwords:
            with state.lock:  # everything waits for the password check
                pass
        shown = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        if shown and (shown == state.token or self.server.flaws.any_token):
            return 3
        return 1 if shown and shown == state.viewer else 0

    def _unauthorized(self) -> None:
        challenge = {} if self.server.flaws.no_challenge else {"www-authenticate": "Bearer"}
        leak = b'{"password": "hunter2"}' if self.server.flaws.leaks_key else b"{}"
        self._send(401, leak, challenge)

    def _answer(self, status: int, document: object = None) -> None:
        body = b"" if document is None else json.dumps(document).encode()
        self._send(status, body, {"content-type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        if status == 400:
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)


def _openapi() -> dict[str, object]:
    secured = {"security": [{"bearer": []}]}
    return {
        "paths": {
            "/v1/identity": {"get": {"security": []}},
            "/v1/functions/temperature": {"get": secured},
            "/v1/functions/set-target": {"post": secured},
            "/v1/update": {"get": secured},
            "/v1/update/policy": {"put": secured},
            "/v1/password": {"put": secured},
            "/v1/tokens/{id}": {"delete": secured},
        }
    }


@dataclass(frozen=True, kw_only=True)
class LittleDevice:
    """A running little device."""

    endpoint: Endpoint
    root_pem: bytes
    token: str

    def target(self, **given: object) -> Target:
        """A target with the device, its root and its owner's token."""
        plain = Target(
            device=self.endpoint,
            device_root_pem=self.root_pem,
            token=self.token,
            now=lambda: datetime.now(UTC),
        )
        return replace(plain, **given)  # type: ignore[arg-type]


@contextlib.contextmanager
def little_device(
    flaws: Flaws | None = None, *, claimed: bool = True, key: TlsKey | None = None
) -> Iterator[LittleDevice]:
    """Run one on a free port of the loopback."""
    flaws = flaws or Flaws()
    root = make_root(_authority(flaws), now=datetime.now(UTC))
    server = (_Server if flaws.one_at_a_time else _Threaded)(
        ("127.0.0.1", 0), _Handler, bind_and_activate=True
    )
    server.flaws, server.state, server.claimed = flaws, _State(), claimed
    server.context = _context(flaws, root, key or generate_key())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.daemon = True
    thread.start()
    try:
        yield LittleDevice(
            endpoint=Endpoint("127.0.0.1", server.server_address[1]),
            root_pem=root.certificate_pem(),
            token=server.state.token,
        )
    finally:
        server.shutdown()
        server.server_close()


def _authority(flaws: Flaws) -> str:
    if flaws.self_made_elsewhere:
        return self_made_name("TH-FFFFFFFF")
    return self_made_name(SERIAL) if flaws.self_made else "Example Device Root"


def _context(flaws: Flaws, root: Issuer, key: TlsKey) -> ssl.SSLContext:
    request = make_request(key, serial=SERIAL, model="thermostat", purpose=Purpose.SERVER)
    chain = issue_operational(
        root, verify_request(request), now=datetime.now(UTC), lifetime=timedelta(days=1),
        addresses=["127.0.0.1"],
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(key_to_pem(key) + chain)
        if flaws.self_made_chain:
            file.write(root.certificate_pem())
        file.flush()
        context.load_cert_chain(file.name)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if flaws.old_tls:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
    if flaws.one_cipher:
        context.set_ecdh_curve("prime256v1")
    return context
