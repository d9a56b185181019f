"""A real device behind the packet filters that its design makes: it can live, and no more."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.device.workshop import PATIENCE, running, until
from tests.end_to_end.living import make_device, make_home
from tests.product.designs import THERMOSTAT
from tests.product.namespaces import Namespace, join, need_namespaces, network, serving

from limpet.device.enclosure.users import find_users
from limpet.product.nftables import Setting, render_device, render_guard
from limpet.vendor.home import Home

pytestmark = pytest.mark.end_to_end
VENDOR, OTHER, ROUTER, DEVICE = "203.0.115.10", "203.0.115.66", "10.78.0.1", "10.78.0.2"
ALONE_SECONDS = 4  # several times what the enrollment of the test above takes
MAC = "02:00:00:00:00:18"
HOSTS = f"127.0.0.1 localhost\n{VENDOR} vendor.example.com\n{OTHER} other.example.com\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    need_namespaces()
    return make_home(tmp_path_factory.mktemp("egress"))


@contextmanager
def _world() -> Iterator[tuple[Namespace, Namespace, Namespace]]:
    with network("device", "gateway", "world") as spaces:
        device, gateway, world = spaces["device"], spaces["gateway"], spaces["world"]
        join(device, gateway, ours=[f"{DEVICE}/24"], theirs=[f"{ROUTER}/24"], mac=MAC)
        addresses = ["192.168.60.2/24", f"{VENDOR}/32", f"{OTHER}/32"]
        join(world, gateway, ours=addresses, theirs=["192.168.60.1/24"])
        device.run("ip", "route", "add", "default", "via", ROUTER)
        world.run("ip", "route", "add", "default", "via", "192.168.60.1")
        gateway.run("ip", "route", "add", "default", "via", "192.168.60.2")
        gateway.run("sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1")
        yield device, gateway, world


@contextmanager
def _vendor(home: Home, world: Namespace) -> Iterator[None]:
    command = [sys.executable, "-m", "limpet", "vendor", "serve", str(home.root)]
    process = subprocess.Popen(
        world.command(*command, "--listen", f"{VENDOR}:443"), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert "listening" in process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.wait(60)


def _users(directory: Path) -> dict[str, int]:
    """The user ids of the device's roles: a test of namespaces runs as root."""
    users = find_users(directory, first=None)
    assert users is not None
    return {role: user.uid for role, user in users.items()}


def _rules(setting: Setting, users: dict[str, int]) -> str:
    named = {f"{role}_user": str(users[role]) for role in ("updater", "app", "announcer")}
    return render_device(setting, **named)


def test_a_device_enrolls_and_serves_behind_the_rules_of_its_design_and_reaches_nobody_else(
    home: Home, tmp_path: Path
) -> None:
    """Both rule sets at once, names and addresses as in life: no --resolve, port 443."""
    directory = make_device(home)
    hosts = tmp_path / "hosts"
    hosts.write_text(HOSTS)
    with (
        _world() as (space, gateway, world),
        _vendor(home, world),
        serving(world, ("tcp", OTHER, 443), ("tcp", VENDOR, 80)),
        serving(space, ("tcp", DEVICE, 2222)),
    ):
        known = Setting(product=THERMOSTAT, addresses={"vendor.example.com": [VENDOR]})
        users = _users(directory)
        space.load(_rules(known, users))
        gateway.load(render_guard(known, sources=[MAC, DEVICE]))
        mounted = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"']
        under = space.command(*mounted, str(hosts))
        with running(directory, "--listen", f"{DEVICE}:8443", under=under) as device:
            until(device.has_enrolled, "it did not enroll", device)
            until(lambda: device.has_logged("listening"), "it does not listen", device)
            outward = (("tcp", VENDOR, 80), ("tcp", OTHER, 443))
            for uid in (users["updater"], users["gateway"], 0):
                assert space.reaches(*outward, uid=uid) == set()
            inward = {("tcp", DEVICE, 8443): True, ("tcp", DEVICE, 2222): False}
            for (_, address, port), expected in inward.items():
                seconds = PATIENCE if expected else 2
                connects = (
                    f"import socket; socket.create_connection(('{address}', {port}), {seconds})"
                )
                done = subprocess.run(
                    world.command(sys.executable, "-c", connects), capture_output=True, timeout=150
                )
                assert (done.returncode == 0) is expected, port


def test_a_device_waits_until_the_set_of_its_vendors_addresses_is_filled(
    home: Home, tmp_path: Path
) -> None:
    """The control: it is the rules that let it enroll, and they that keep it from that before."""
    directory = make_device(home)
    hosts = tmp_path / "hosts"
    hosts.write_text(HOSTS)
    with _world() as (space, _, world), _vendor(home, world):
        space.load(_rules(Setting(product=THERMOSTAT), _users(directory)))
        mounted = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"']
        under = space.command(*mounted, str(hosts))
        with running(directory, "--listen", f"{DEVICE}:8443", under=under) as device:
            until(lambda: device.has_logged("listening"), "it does not serve its owner", device)
            time.sleep(ALONE_SECONDS)
            assert not any(entry.event == "enrolled" for entry in device.log())
            known = f"ip-vendor.example.com {{ {VENDOR} }}"
            space.run("nft", "add", "element", "inet", "limpet", *known.split())
            until(device.has_enrolled, "it did not enroll", device)
