"""Devices start, refuse strangers, are claimed by their labels, and are used."""

import json
import socket
from functools import partial

from limpet.crypto.randomness import new_token
from limpet.crypto.tls import client_context
from limpet.demo.stage import Missed, wait_for
from limpet.demo.story import Scene, Teller
from limpet.demo.world import VENDOR_HOST, Device, World
from limpet.device.supervisor.status import read_listening
from limpet.errors import Rejected, Unavailable
from limpet.https.client import ClientResponse, HttpsClient

__all__ = ["CLAIM", "START", "USE", "ask_stranger", "ask_vendor", "start_device", "wait_enrolled"]

START_SECONDS = 120.0
ENROLL_SECONDS = 60.0
HEAT_SECONDS = 20.0
ANSWER_BYTES = 1 << 20
_BEFORE_CLAIM = (
    ("GET", "/v1/functions"),
    ("GET", "/v1/functions/temperature"),
    ("POST", "/v1/functions/set_target"),
    ("GET", "/v1/update"),
    ("PUT", "/v1/update/policy"),
    ("POST", "/v1/login"),
    ("PUT", "/v1/password"),
    ("GET", "/v1/openapi.json"),
)


def ask_stranger(
    world: World, device: Device, method: str, path: str, body: bytes = b""
) -> ClientResponse:
    """One request with a verified device, and no credential."""
    port = device.url.rpartition(":")[2]
    name = f"{device.serial.lower()}.local:{port}"
    return _ask(world, "device-root.pem", name, method, path, body)


def ask_vendor(world: World, path: str) -> ClientResponse:
    """A public page of the vendor's service, whose name is verified."""
    return _ask(world, "service-root.pem", f"{VENDOR_HOST}:{world.vendor_port}", "GET", path)


def _ask(
    world: World, root: str, name: str, method: str, path: str, body: bytes = b""
) -> ClientResponse:
    client = HttpsClient(
        f"https://{name}",
        tls=client_context(roots_pem=(world.vendor / "trust" / root).read_bytes()),
        resolve={name: f"127.0.0.1:{name.rpartition(':')[2]}"},
    )
    try:
        headers = {"content-type": "application/json"} if body else {}
        return client.request(method, path, body, max_bytes=ANSWER_BYTES, headers=headers)
    finally:
        client.close()


def _start_devices(world: World, tell: Teller) -> None:
    for device in world.devices:
        start_device(world, device)
    for device in world.devices:
        wait_for(
            f"{device.serial} to listen", partial(_listens, world, device), seconds=START_SECONDS
        )
    roles = _roles(world, world.devices[0])
    tell(f"{world.count} devices listen; each runs as {len(roles)} processes: {', '.join(roles)}")
    for device in world.devices:
        wait_enrolled(world, device)
    tell("each has proved its identity to the vendor and serves TLS with an enrolled certificate")


def start_device(world: World, device: Device) -> None:
    """Start a device on a port of its own, which it keeps when it restarts into new firmware."""
    # Bound and not listened at, it is given to nobody else, and the device may listen (ip(7)).
    device.held = socket.socket()
    device.held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    device.held.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{device.held.getsockname()[1]}"
    device.url = f"https://{address}"
    world.stage.start(
        device.process, "device", "run", device.directory, "--listen", address,
        "--resolve", world.resolve(device),
    )  # fmt: skip


def wait_enrolled(world: World, device: Device) -> None:
    """Wait until the certificate that the device serves chains to the maker's root."""
    enrolled = partial(_is_enrolled, world, device)
    wait_for(f"{device.serial} to enroll", enrolled, seconds=ENROLL_SECONDS)


def _listens(world: World, device: Device) -> bool | None:
    world.stage.verify_running(device.process)
    try:
        return read_listening(device.directory) is not None or None
    except Unavailable:
        return None


def _roles(world: World, device: Device) -> list[str]:
    shown = world.stage.limpet("device", "status", device.directory)
    return [role["role"] for role in shown["status"]["roles"]]


def _is_enrolled(world: World, device: Device) -> bool | None:
    world.stage.verify_running(device.process)
    try:
        return ask_stranger(world, device, "GET", "/v1/identity").status == 200 or None
    except Unavailable:
        return None
    except Rejected as error:
        if error.reason == "untrusted-server":  # its own certificate, until the vendor's comes
            return None
        raise


def _claim(world: World, tell: Teller) -> None:
    first = world.devices[0]
    for method, path in _BEFORE_CLAIM:
        status = ask_stranger(world, first, method, path).status
        if status != 403:
            raise Missed(f"{method} {path} answered {status} before the claim")
    for path in ("/v1/identity", "/.well-known/security.txt"):
        if ask_stranger(world, first, "GET", path).status != 200:
            raise Missed(f"{path} does not answer before the claim")
    tell(f"before the claim {len(_BEFORE_CLAIM)} other paths answer 403; identity and contact 200")
    wrong = json.dumps({"code": "0" * 16, "name": "thief", "password": new_token()}).encode()
    status = ask_stranger(world, first, "POST", "/v1/claim", wrong).status
    if status != 403:
        raise Missed(f"a wrong claim code was answered {status}")
    tell(f"a wrong claim code is refused: {status}")
    for device in world.devices:
        device.password = new_token()
        world.stage.limpet(
            "owner", "claim", device.url, "--label", f"@{device.label}",
            "--root", world.vendor / "trust" / "device-root.pem", "--name", "owner",
            "--password-stdin", "--store", world.owner, typed=f"{device.password}\n",
        )  # fmt: skip
    tell(f"{world.count} devices claimed by the code on their labels")
    again = json.dumps(
        {"code": first.claim_code, "name": "thief", "password": new_token()}
    ).encode()
    status = ask_stranger(world, first, "POST", "/v1/claim", again).status
    if status < 400:
        raise Missed(f"a used claim code was answered {status}")
    tell(f"the used code is dead: {status}")


def _use(world: World, tell: Teller) -> None:
    device = world.devices[0]

    def owner(*words: str) -> object:
        return world.stage.limpet("owner", *words, "-d", device.serial, "--store", world.owner)

    before = owner("call", "temperature")
    owner("call", "set_target", "celsius=30")
    with world.client(device) as client:
        status = client.function("status")

        def aimed() -> dict[str, object] | None:
            answer: dict[str, object] = client.call(status, {})
            settled = answer["target"] == 30 and (answer["heating"] or not _is_cold(answer))
            return answer if settled else None

        found = wait_for("the heater to follow the target", aimed, seconds=HEAT_SECONDS)
        history = client.call(client.function("history"), {"hours": 1})
    heater = "on" if found["heating"] else "off"
    tell(f"{found['sensor']} says {before} °C; target 30 °C: heater {heater}")
    tell(f"its history is kept on disk; samples so far: {len(history)}")


def _is_cold(status: dict[str, object]) -> bool:
    """A machine's own sensor may be warmer than any room; then the heater stays off."""
    return float(str(status["celsius"])) < float(str(status["target"]))


START = Scene(
    "The devices start: separate processes, own keys, enrolled certificates", _start_devices
)
CLAIM = Scene("Their owners claim them by the label's code; nothing works before", _claim)
USE = Scene("The thermostat is used", _use)
