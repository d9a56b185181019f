"""Packet filters from the design: their text, and in real networks of the test's own."""

import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.product.designs import PORTAL, THERMOSTAT, design_with
from tests.product.namespaces import Namespace, Way, join, need_namespaces, network, serving

from limpet.errors import Rejected
from limpet.product.nftables import Setting, render_device, render_dnsmasq, render_guard

UPDATER, APP, STRANGER, ANNOUNCER = 61001, 61002, 61003, 61004
USERS = {"updater_user": str(UPDATER), "app_user": str(APP), "announcer_user": str(ANNOUNCER)}
VENDOR, VENDOR6 = "203.0.113.10", "2001:db8:1::10"
METER, OTHER, OTHER6 = "203.0.113.20", "198.51.100.7", "2001:db8:2::7"
ROUTER, ROUTER6, DEVICE, DEVICE6 = "10.77.0.1", "fd77::1", "10.77.0.2", "fd77::2"
NEIGHBOUR = "192.168.50.5"
MAC = "02:00:00:00:00:17"
KNOWN = {"vendor.example.com": [VENDOR, VENDOR6], "meter.example.com": [METER]}


PRODUCT = design_with(PORTAL)


def hold(
    space: Namespace,
    ways: Sequence[Way],
    due: Collection[Way],
    *,
    uid: int = 0,
    source: str = "",
) -> None:
    """Of `ways` those that are `due` lead to a server that answers, and no other."""
    assert space.reaches(*ways, due=due, uid=uid, source=source) == set(due)


# --- text


def test_nothing_but_what_the_design_declares_is_in_the_rules() -> None:
    """Every accepting rule with a port belongs to an interface, or is DHCP."""
    rules = render_device(Setting(product=PRODUCT)) + render_guard(
        Setting(product=PRODUCT), sources=[MAC, DEVICE]
    )
    ports = {
        int(line.partition("dport ")[2].split()[0])
        for line in rules.splitlines()
        if "dport" in line
    }
    declared = {interface.port for interface in PRODUCT.interfaces if interface.port}
    assert ports == declared | {67, 68, 546, 547}


def test_an_interface_more_or_less_is_a_rule_more_or_less() -> None:
    setting, more = Setting(product=THERMOSTAT), Setting(product=PRODUCT)
    assert "8883" not in render_device(setting)
    assert "ip daddr @ip-meter.example.com tcp dport 8883 accept" in render_device(more)
    assert render_dnsmasq(THERMOSTAT, guard=False) == (
        "max-cache-ttl=60\n"
        "nftset=/vendor.example.com/4#inet#limpet#ip-vendor.example.com,"
        "6#inet#limpet#ip6-vendor.example.com\n"
    )
    assert "meter.example.com/4#inet#limpet-thermostat#" in render_dnsmasq(PRODUCT, guard=True)


@pytest.mark.parametrize(
    "user", ["", "root;", 'x" accept', "a b", "-u", "$x", "x" * 40, "\n", "updater\n"]
)
def test_a_user_that_could_write_rules_is_refused(user: str) -> None:
    for of in USERS:
        with pytest.raises(Rejected, match="no user's name"):
            render_device(Setting(product=PRODUCT), **{of: user})


@pytest.mark.parametrize("source", ["", "10.0.0", "02:00:00:00:00", "10.0.0.1; accept", "::g"])
def test_a_source_that_is_no_address_is_refused(source: str) -> None:
    with pytest.raises(Rejected, match="MAC or IP address"):
        render_guard(Setting(product=PRODUCT), sources=[source])
    with pytest.raises(Rejected, match="which device"):
        render_guard(Setting(product=PRODUCT), sources=[])


def test_addresses_are_addresses() -> None:
    for bad in ("1.2.3", "1.2.3.4 }", "x"):
        with pytest.raises(Rejected, match="no IP address"):
            Setting(product=PRODUCT, addresses={"vendor.example.com": [bad]})
        with pytest.raises(Rejected, match="no IP address"):
            Setting(product=PRODUCT, name_servers=[bad])
        with pytest.raises(Rejected, match="no network"):
            Setting(product=PRODUCT, local_networks=[bad])


# --- the device's own rules


@contextmanager
def _device(*, names: bool = True) -> Iterator[tuple[Namespace, Namespace]]:
    """A device and the world, wired together, with servers on both; `names` for port 53."""
    need_namespaces("setpriv")
    with network("device", "world") as spaces:
        device, world = spaces["device"], spaces["world"]
        join(
            device,
            world,
            ours=[f"{DEVICE}/24", f"{DEVICE6}/64"],
            theirs=[
                *(f"{ROUTER}/24", f"{ROUTER6}/64", f"{VENDOR}/32", f"{METER}/32", f"{OTHER}/32"),
                *(f"{VENDOR6}/128", f"{OTHER6}/128"),
            ],
        )
        device.run("ip", "route", "add", "default", "via", ROUTER)
        device.run("ip", "-6", "route", "add", "default", "via", ROUTER6)
        inside = [("tcp", "::", 8443), ("tcp", "::", 2222), ("udp", DEVICE, 8443)]
        outside: list[Way] = [("tcp", "::", port) for port in (443, 80, 8883)]
        if names:
            outside += [("tcp", "::", 53), ("udp", ROUTER, 53), ("udp", OTHER, 53)]
        with serving(device, *inside), serving(world, *outside):
            yield device, world


OUTWARD: tuple[Way, ...] = (
    ("tcp", VENDOR, 443),
    ("tcp", VENDOR6, 443),
    ("tcp", VENDOR, 80),
    ("tcp", OTHER, 443),
    ("tcp", OTHER6, 443),
    ("tcp", METER, 8883),
    ("tcp", METER, 443),
    ("udp", ROUTER, 53),
    ("tcp", ROUTER, 53),
    ("udp", OTHER, 53),
)
INWARD: tuple[Way, ...] = (
    ("tcp", DEVICE, 8443),
    ("tcp", DEVICE6, 8443),
    ("tcp", DEVICE, 2222),
    ("tcp", DEVICE6, 2222),
    ("udp", DEVICE, 8443),
)
NAMES = {("udp", ROUTER, 53), ("tcp", ROUTER, 53)}


def test_on_the_device_each_user_reaches_what_is_declared_for_it_and_nothing_else() -> None:
    with _device() as (device, world):
        hold(device, OUTWARD, OUTWARD, uid=UPDATER)  # without rules
        hold(world, INWARD, INWARD)
        setting = Setting(product=PRODUCT, addresses=KNOWN)
        device.load(render_device(setting, **USERS))
        vendors = {("tcp", VENDOR, 443), ("tcp", VENDOR6, 443)}
        hold(device, OUTWARD, vendors | NAMES, uid=UPDATER)
        hold(device, OUTWARD, {("tcp", METER, 8883), *NAMES}, uid=APP)
        hold(device, OUTWARD, (), uid=STRANGER)
        hold(device, OUTWARD, ())  # root's processes are no better
        hold(world, INWARD, {("tcp", DEVICE, 8443), ("tcp", DEVICE6, 8443)})


def test_one_name_server_may_be_the_only_one() -> None:
    with _device() as (device, _):
        setting = Setting(product=PRODUCT, addresses=KNOWN, name_servers=[OTHER])
        device.load(render_device(setting, **USERS))
        asked = [("udp", ROUTER, 53), ("udp", OTHER, 53)]
        hold(device, asked, {("udp", OTHER, 53)}, uid=UPDATER)


def test_rules_can_be_loaded_again_and_leave_other_tables_alone() -> None:
    with _device() as (device, _):
        device.load("table inet mine {\n chain c {\n }\n}\n")
        rules = render_device(Setting(product=PRODUCT), **USERS)
        device.load(rules)
        device.load(rules)
        tables = device.run("nft", "list", "tables").splitlines()
        assert sorted(tables) == ["table inet limpet", "table inet mine"]
        # Nobody has filled the sets: what is not known is not reached.
        hold(device, [("tcp", VENDOR, 443)], (), uid=UPDATER)


def test_a_name_server_on_the_device_fills_the_sets_before_it_answers(tmp_path: Path) -> None:
    need_namespaces("setpriv", "dnsmasq")
    with _device(names=False) as (device, world):
        device.load(render_device(Setting(product=PRODUCT), **USERS, resolver_user="nobody"))
        sets = tmp_path / "sets.conf"
        sets.write_text(render_dnsmasq(PRODUCT, guard=False))
        plain = ["--keep-in-foreground", "--no-hosts", "--no-resolv", "--pid-file="]
        plain += ["--user=nobody", "--group=nogroup", "--bind-interfaces"]
        answers = [f"--address=/vendor.example.com/{VENDOR}", f"--address=/evil.example/{OTHER}"]
        above = world.command("dnsmasq", *plain, *answers)
        below = device.command("dnsmasq", *plain, f"--conf-file={sets}", f"--server={ROUTER}")
        with _process(above), _process(below):
            hold(device, [("tcp", VENDOR, 443)], (), uid=UPDATER)
            assert device.look_up("evil.example", "127.0.0.1") == OTHER
            assert device.look_up("vendor.example.com", "127.0.0.1") == VENDOR
            both = [("tcp", VENDOR, 443), ("tcp", OTHER, 443)]
            hold(device, both, {("tcp", VENDOR, 443)}, uid=UPDATER)


@contextmanager
def _process(command: list[str]) -> Iterator[None]:
    with subprocess.Popen(command) as process:
        try:
            yield
        finally:
            process.terminate()


# --- the guard in the gateway


@contextmanager
def _guarded() -> Iterator[tuple[Namespace, Namespace, Namespace]]:
    """A device behind a gateway, and the world (with a neighbour's network) beyond it."""
    need_namespaces("setpriv")
    with network("device", "gateway", "world") as spaces:
        device, gateway, world = spaces["device"], spaces["gateway"], spaces["world"]
        join(
            device,
            gateway,
            ours=[f"{DEVICE}/24", "10.77.0.9/24"],
            theirs=[f"{ROUTER}/24"],
            mac=MAC,
        )
        join(
            world,
            gateway,
            ours=["100.127.0.2/24", f"{VENDOR}/32", f"{OTHER}/32", f"{NEIGHBOUR}/32"],
            theirs=["100.127.0.1/24"],
        )
        device.run("ip", "route", "add", "default", "via", ROUTER)
        world.run("ip", "route", "add", "default", "via", "100.127.0.1")
        gateway.run("ip", "route", "add", "default", "via", "100.127.0.2")
        gateway.run("sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1")
        ports: list[Way] = [("tcp", "::", 443), ("tcp", "::", 80)]
        with (
            serving(device, ("tcp", "::", 8443), ("tcp", "::", 2222)),
            serving(gateway, *ports, ("udp", ROUTER, 53)),
            serving(world, *ports, ("udp", OTHER, 53)),
        ):
            yield device, gateway, world


FROM_DEVICE: tuple[Way, ...] = (
    ("tcp", VENDOR, 443),
    ("tcp", VENDOR, 80),
    ("tcp", OTHER, 443),
    ("udp", OTHER, 53),
    ("udp", ROUTER, 53),
    ("tcp", ROUTER, 80),  # the gateway's own page
)
TO_DEVICE: tuple[Way, ...] = (("tcp", DEVICE, 8443), ("tcp", DEVICE, 2222))


@pytest.mark.parametrize("sources", [[MAC], [DEVICE], [MAC, DEVICE]], ids=["mac", "ip", "both"])
def test_a_guard_holds_a_device_that_was_taken_over(sources: list[str]) -> None:
    with _guarded() as (device, gateway, _):
        hold(device, FROM_DEVICE, FROM_DEVICE, source=DEVICE)  # without rules
        setting = Setting(product=THERMOSTAT, addresses={"vendor.example.com": [VENDOR]})
        gateway.load(render_guard(setting, sources=sources))
        hold(device, FROM_DEVICE, {("tcp", VENDOR, 443), ("udp", ROUTER, 53)}, source=DEVICE)
        other = [("tcp", OTHER, 443)]
        hold(gateway, other, other)  # others go on
        # An address of its own choice does not help it, where it is known by its MAC.
        hold(device, other, () if MAC in sources else other, source="10.77.0.9")


def test_a_guard_lets_local_networks_use_the_declared_port_and_nobody_else() -> None:
    with _guarded() as (_, gateway, world):
        for source in (NEIGHBOUR, OTHER):
            hold(world, TO_DEVICE, TO_DEVICE, source=source)  # without rules
        gateway.load(render_guard(Setting(product=THERMOSTAT), sources=[MAC, DEVICE]))
        hold(world, TO_DEVICE, {("tcp", DEVICE, 8443)}, source=NEIGHBOUR)
        hold(world, TO_DEVICE, (), source=OTHER)
        wider = Setting(product=THERMOSTAT, local_networks=[f"{OTHER}/32"])
        gateway.load(render_guard(wider, sources=[DEVICE]))
        hold(world, TO_DEVICE, {("tcp", DEVICE, 8443)}, source=OTHER)


def test_an_owners_proxy_is_let_through_both_rule_sets_for_the_updater_alone() -> None:
    setting = Setting(product=THERMOSTAT, proxies=["192.168.1.9:3128", "[fd00::9]:8080"])
    device, guard = render_device(setting), render_guard(setting, sources=["192.168.1.20"])
    for line in ("ip daddr 192.168.1.9 tcp dport 3128", "ip6 daddr fd00::9 tcp dport 8080"):
        assert f"{line} accept" in device.split("chain updater {")[1].split("\n\t}")[0]
        assert device.count(line) == 1
        assert f"{line} accept" in guard.split("chain from_device {")[1].split("\n\t}")[0]
    assert "3128" not in render_device(Setting(product=THERMOSTAT))


@pytest.mark.parametrize("bad", ["proxy.example.com:3128", "192.168.1.9", "192.168.1.9:x", ":1"])
def test_a_proxy_in_a_rule_is_an_address_and_a_port(bad: str) -> None:
    with pytest.raises(Rejected) as refused:
        Setting(product=THERMOSTAT, proxies=[bad])
    assert refused.value.reason == "bad-address"
