"""Foreign clients in the peer's namespace find the announcer: dig (BIND) and Avahi."""

import json
import subprocess
import time
from pathlib import Path

import pytest
from tests.device.announcer.conftest import DEVICE_4, DEVICE_6, EVERYWHERE, Announcing, Cable
from tests.needs import find_program, need

SECONDS = 60
SERVICE, HOST = "_limpet._tcp.local", "th-a1b2c3d4.local"
INSTANCE = f"Room Thermostat C3D4.{SERVICE}"
AVAHI = r"""
set -eu
mount -t tmpfs none /run
mkdir /run/dbus /run/avahi-daemon
dbus-daemon --system --nofork --nopidfile 2>/dev/null & bus=$!
for _ in $(seq 100); do [ -S /run/dbus/system_bus_socket ] && break; sleep 0.1; done
printf '[server]\nallow-interfaces=cable\n[publish]\ndisable-publishing=yes\n' >/run/avahi.conf
avahi-daemon --no-drop-root --no-chroot --no-rlimits --file /run/avahi.conf 2>/run/log & avahi=$!
trap 'kill $avahi $bus; wait' EXIT
for _ in $(seq 100); do grep -q 'startup complete' /run/log && break; sleep 0.1; done
timeout 20 avahi-browse --resolve --terminate --parsable _limpet._tcp
timeout 20 avahi-resolve --name th-a1b2c3d4.local || cat /run/log
"""
"""A system bus and an Avahi of the test's own, below a /run that they alone see."""


def dig(cable: Cable, server: str, name: str, kind: str) -> list[str]:
    """The lines of answers that dig got."""
    command = ["ip", "netns", "exec", cable.names["peer"], "dig", f"@{server}", "-p", "5353"]
    options = ["+norecurse", "+tries=3", "+time=2", "+noall", "+answer"]
    done = subprocess.run(
        [*command, *options, name, kind], capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line and not line.startswith(";")]


@pytest.mark.parametrize(
    ("listens_on", "server", "kind", "address"),
    [(EVERYWHERE, DEVICE_4, "A", DEVICE_4), ("::", DEVICE_6, "AAAA", DEVICE_6)],
    ids=["IPv4", "IPv6"],
)
def test_dig_follows_pointer_service_and_host_to_the_address(
    announcing: Announcing, listens_on: str, server: str, kind: str, address: str
) -> None:
    """It asks the device alone: since BIND 9.18 it takes no answer from another address than the
    one it asked, so that it can ask no group any more."""
    need("dig", package="bind9-dnsutils", untried="it was NOT asked for the device")
    announcing.say(listens_on=listens_on)
    cable = announcing.cable
    (pointer,) = dig(cable, server, SERVICE, "PTR")
    assert pointer.endswith(r"Room\032Thermostat\032C3D4._limpet._tcp.local.")
    (service,) = dig(cable, server, INSTANCE, "SRV")
    assert service.split()[-4:] == ["0", "0", "8443", f"{HOST}."]
    (text,) = dig(cable, server, INSTANCE, "TXT")
    assert '"model=thermostat"' in text
    assert address in [line.split()[-1] for line in dig(cable, server, HOST, kind)]


@pytest.mark.parametrize("listens_on", [EVERYWHERE, "::"], ids=["IPv4", "IPv6"])
def test_avahi_browses_and_resolves_it_and_finds_nothing_when_it_is_off(
    announcing: Announcing, listens_on: str
) -> None:
    if Path("/run/systemd/system").is_dir() and find_program("avahi-daemon") is None:
        pytest.skip("./run installs no daemon where services are managed: Avahi was NOT asked")
    need("avahi-daemon", "avahi-browse", "dbus-daemon", package="avahi-daemon avahi-utils dbus",
         untried="it was NOT asked for the device")  # fmt: skip
    announcing.say(listens_on=listens_on)
    found = browse(announcing.cable)
    resolved = [line.split(";") for line in found.splitlines() if line.startswith("=;cable;")]
    assert resolved, found
    addresses = addresses_of(announcing.cable)
    for _, _, _, name, kind, domain, host, address, port, text in resolved:
        assert address in addresses
        assert (name, kind, domain) == (r"Room\032Thermostat\032C3D4", "_limpet._tcp", "local")
        assert (host, port) == (HOST, "8443")
        assert {*text.split()} == {'"api=1"', '"model=thermostat"'}
    (resolved_host,) = [line for line in found.splitlines() if line.startswith(f"{HOST}\t")]
    assert resolved_host.split()[1] in addresses
    announcing.say(on=False)
    time.sleep(1.5)
    assert "_limpet._tcp" not in browse(announcing.cable)


def addresses_of(cable: Cable) -> set[str]:
    """The device's, of which Avahi chooses one: over IPv6 it may be the link's own."""
    command = ["ip", "-json", "-n", cable.names["device"], "address", "show", "dev", "cable"]
    shown = subprocess.run(command, capture_output=True, timeout=SECONDS, check=True).stdout
    return {one["local"] for one in json.loads(shown)[0]["addr_info"]}


def browse(cable: Cable) -> str:
    """What Avahi's own programs print of our service and host."""
    command = ["ip", "netns", "exec", cable.names["peer"], "unshare", "--mount", "sh", "-c", AVAHI]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    return done.stdout + done.stderr
