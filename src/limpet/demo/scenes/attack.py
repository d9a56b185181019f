"""Someone in the same network attacks a device: guesses, unauthenticated control, plain text."""

import json
import socket
import ssl
import threading
import time

from limpet.crypto.randomness import new_token
from limpet.demo.scenes.owning import ask_stranger
from limpet.demo.stage import Missed
from limpet.demo.story import Scene, Teller
from limpet.demo.world import Device, World
from limpet.https.client import ClientResponse

__all__ = ["ATTACK"]

GUESSES = 40
FREE_GUESSES = 3
CALM_REQUESTS = 15
SOCKET_SECONDS = 3.0
LOGIN_SECONDS = 2.0


def _attack(world: World, tell: Teller) -> None:
    device = world.devices[1 % world.count]
    _take_without_credential(world, device, tell)
    _guess(world, device, tell)
    _speak_plainly(world, device, tell)
    _speak_old_tls(device, tell)


def _take_without_credential(world: World, device: Device, tell: Teller) -> None:
    with world.client(device) as client:
        described = client.request("GET", "/v1/openapi.json")
    asked = 0
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if not operation.get("security"):
                continue
            status = ask_stranger(
                world, device, method.upper(), path.replace("{id}", "1"), b"{}"
            ).status
            asked += 1
            if status != 401:
                raise Missed(f"{method.upper()} {path} answered {status} without a credential")
    if not asked:
        raise Missed("the device describes no operation that needs a credential")
    tell(f"{asked} operations of its own OpenAPI document without a credential: all 401")


def _guess(world: World, device: Device, tell: Teller) -> None:
    calm = _owner_latency(world, device)
    answers: list[ClientResponse] = []

    def guess() -> None:
        for _ in range(GUESSES):
            body = json.dumps({"name": "owner", "password": new_token()}).encode()
            answers.append(ask_stranger(world, device, "POST", "/v1/login", body))

    guesser = threading.Thread(target=guess)
    guesser.start()
    under_attack = _owner_latency(world, device)
    guesser.join()
    checked = [answer for answer in answers if answer.status == 401]
    delayed = [answer for answer in answers if answer.status == 429]
    if len(checked) + len(delayed) != GUESSES or len(checked) > FREE_GUESSES + 1:
        raise Missed(f"of {GUESSES} guesses {len(checked)} were checked, {len(delayed)} delayed")
    waits = delayed[-1].headers.get("retry-after", "")
    tell(
        f"{GUESSES} guesses: {len(checked)} checked, {len(delayed)} refused unread"
        f" (429, Retry-After {waits} s)"
    )
    tell(f"the owner's requests meanwhile: {under_attack:.0f} ms, before {calm:.0f} ms (median)")
    began = time.monotonic()
    world.stage.limpet(
        "owner", "login", "-d", device.serial, "--password-stdin", "--store", world.owner,
        typed=f"{device.password}\n",
    )  # fmt: skip
    took = time.monotonic() - began
    if took > LOGIN_SECONDS:
        raise Missed(f"the owner's login took {took:.1f} s")
    tell(f"the owner still logs in, from a known client, in {took * 1000:.0f} ms")


def _owner_latency(world: World, device: Device) -> float:
    """Median milliseconds of an authenticated request."""
    times = []
    with world.client(device) as client:
        for _ in range(CALM_REQUESTS):
            began = time.monotonic()
            client.request("GET", "/v1/functions/temperature")
            times.append((time.monotonic() - began) * 1000)
    return sorted(times)[len(times) // 2]


def _speak_plainly(world: World, device: Device, tell: Teller) -> None:
    body = b'{"name": "owner", "password": "plain"}'
    request = (
        b"POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    with _connect(device) as plain:
        answer = b""
        try:
            plain.sendall(request)
            while chunk := plain.recv(4096):
                answer += chunk
        except ConnectionError:
            pass
    if b"Location" in answer or (answer and not answer.startswith(b"HTTP/1.1 400")):
        raise Missed(f"plain HTTP was answered {answer[:60]!r}")
    said = answer.split(b"\r\n")[0].decode() or "closed without a word"
    tell(f"a login in plain text is refused, without a redirect: {said}")


def _speak_old_tls(device: Device, tell: Teller) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE  # an attacker does not mind
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with _connect(device) as raw:
        try:
            with old.wrap_socket(raw) as spoken:
                raise Missed(f"the device spoke {spoken.version()}")
        except (ssl.SSLError, ConnectionError):
            tell("a client that speaks TLS 1.2 only is turned away in the handshake")


def _connect(device: Device) -> socket.socket:
    port = int(device.url.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=SOCKET_SECONDS)


ATTACK = Scene("An attacker in the network: no credential, guesses, plain text, old TLS", _attack)
