"""`limpet owner find` as a person types it, beside a whole device behind its packet filter."""

import json
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.device.workshop import Running, running, until
from tests.end_to_end.living import make_device, make_home
from tests.product.designs import THERMOSTAT
from tests.product.namespaces import Namespace, join, need_namespaces, network

from limpet.device.announcer.messages import Kind, encode_name, name_of
from limpet.owner.finding import ANSWERS_SECONDS
from limpet.product import parse_label_uri
from limpet.product.nftables import Setting, render_device
from limpet.vendor.home import Home

pytestmark = pytest.mark.end_to_end
VENDOR, ROUTER, DEVICE, PORT = "203.0.116.10", "10.79.0.1", "10.79.0.2", 8443
URL = f"https://{DEVICE}:{PORT}"
HOSTS = f"127.0.0.1 localhost\n{VENDOR} vendor.example.com\n"
PASSWORD = "violet anchors drift slowly"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    need_namespaces()
    return make_home(tmp_path_factory.mktemp("announcement"))


@contextmanager
def wired() -> Iterator[tuple[Namespace, Namespace]]:
    """A device's namespace, and its owner's and vendor's, with a cable."""
    need_namespaces()
    with network("device", "owner") as spaces:
        device, owner = spaces["device"], spaces["owner"]
        join(device, owner, ours=[f"{DEVICE}/24"], theirs=[f"{ROUTER}/24", f"{VENDOR}/32"])
        # Of these two python-zeroconf asks from one, whichever comes first.
        device.run("ip", "route", "add", "default", "via", ROUTER)
        yield device, owner


@contextmanager
def living(home: Home, space: Namespace, owner: Namespace, hosts: Path) -> Iterator[Running]:
    """The device in `space`, enrolled with the vendor's service that runs in `owner`."""
    hosts.write_text(HOSTS)
    command = [sys.executable, "-m", "limpet", "vendor", "serve", str(home.root)]
    vendor = subprocess.Popen(
        owner.command(*command, "--listen", f"{VENDOR}:443"), stdout=subprocess.PIPE, text=True
    )
    mounted = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"']
    try:
        assert vendor.stdout is not None
        assert "listening" in vendor.stdout.readline()
        under = space.command(*mounted, str(hosts))
        with running(make_device(home), "--listen", f"{DEVICE}:{PORT}", under=under) as device:
            until(device.has_enrolled, "it did not enroll", device)
            yield device
    finally:
        vendor.terminate()
        vendor.wait(60)


def owner_types(
    space: Namespace, *words: str, stdin: str = "", status: int = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        space.command(sys.executable, "-m", "limpet", "owner", *words),
        input=stdin, capture_output=True, text=True, timeout=150,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done


def find(space: Namespace) -> list[dict[str, str]]:
    return json.loads(owner_types(space, "find", "--seconds", "3", "--json").stdout)


def found_once(space: Namespace, device: Running) -> dict[str, str]:
    """What the search finds: that one device, whose answer may come too late for one search."""
    seen: list[dict[str, str]] = []

    def look() -> bool:
        seen[:] = find(space)
        return bool(seen)

    until(look, "it is not found", device)
    (found,) = seen
    return found


def user_of(device: Running, role: str) -> str:
    status = Path(f"/proc/{device.pid_of(role)}/status").read_text()
    return status.partition("Uid:")[2].split()[0]


def test_the_owner_finds_the_device_claims_it_and_turns_its_announcement_off(
    home: Home, tmp_path: Path
) -> None:
    store = ("--store", str(tmp_path / "store"))
    with wired() as (space, owner), living(home, space, owner, tmp_path / "hosts") as device:
        users = {f"{role}_user": user_of(device, role) for role in ("updater", "announcer")}
        known = Setting(product=THERMOSTAT, addresses={"vendor.example.com": [VENDOR]})
        space.load(render_device(known, **users, app_user=users["updater_user"]))
        found = found_once(owner, device)
        serial = json.loads((device.root / "identity.json").read_text())["serial"]
        model = THERMOSTAT.model.name
        assert (found["model"], found["url"]) == (model, URL)
        assert found["host"] == f"{serial.lower()}.local"

        def shown() -> bool:
            said = owner_types(owner, "find").stdout
            return all(found[word] in said for word in ("name", "model", "host", "url"))

        until(shown, "it is not shown", device)

        (text,) = (home.root.parent / "devices" / "labels").glob(f"{serial}*.txt")
        label = parse_label_uri(text.read_text().strip())
        claim = ("claim", found["url"], "--code", label.claim_code, "--serial", serial)
        root = device.root / "slots" / "a" / "trust" / "device-root.pem"
        owner_types(owner, *claim, "--root", str(root), "--password-stdin", *store,
                    stdin=f"{PASSWORD}\n")  # fmt: skip
        assert "told nothing" in owner_types(owner, "announce", "off", *store).stdout
        until(lambda: find(owner) == [], "it goes on", device)
        said = owner_types(owner, "find", "--seconds", "1").stdout
        assert "no device" in said
        assert "limpet owner claim https://" in said
        assert "is told of" in owner_types(owner, "announce", "on", *store).stdout
        assert found_once(owner, device) == found


def test_without_a_network_the_search_says_so_and_what_to_do() -> None:
    need_namespaces()
    with network("alone") as spaces:
        alone = spaces["alone"]
        assert find(alone) == []  # loopback only
        alone.run("ip", "link", "set", "lo", "down")
        alone.run("ip", "address", "flush", "dev", "lo")
        said = owner_types(alone, "find", status=3).stderr
        assert "this machine is in no network" in said
        assert "limpet owner claim" in said


def test_whoever_invents_devices_does_not_hold_the_search_up() -> None:
    """Names that lead nowhere: each would be waited for."""
    with wired() as (space, owner):
        lies = [f"Device {number}" for number in range(200)]
        liar = subprocess.Popen(space.command(sys.executable, "-c", LIAR, DEVICE, _lie(lies).hex()))
        try:
            before = time.monotonic()
            assert find(owner) == []
            # 200 lies, each waited for, are more.
            assert 3 < time.monotonic() - before < 100 * ANSWERS_SECONDS
        finally:
            liar.kill()
            liar.wait(60)


LIAR = """
import socket, sys, time
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[1]))
one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
one.bind(("", 5353))
while True:
    one.sendto(bytes.fromhex(sys.argv[2]), ("224.0.0.251", 5353))
    time.sleep(0.5)
"""


def _lie(names: Sequence[str]) -> bytes:
    """A response with a pointer to each name, and nothing of what they are."""
    service = name_of("_limpet", "_tcp", "local")
    records = b""
    for name in names:
        target = encode_name((name.encode(),))[:-1] + b"\xc0\x0c"  # the first record's own name
        owner = b"\xc0\x0c" if records else encode_name(service)
        records += owner + struct.pack(">2HIH", Kind.PTR, 1, 4500, len(target)) + target
    return struct.pack(">6H", 0, 0x8400, 0, len(names), 0, 0) + records
