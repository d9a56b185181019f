"""R2.6.1, R2.6.2: an attacker who runs code inside a role, after its confinement, gets nowhere.

The device is a real one, of a real vendor, at work, with a guard and a dialer beside its app.
Its slot carries one package more than a shipped one (`hostile`), which attacks on orders from
within each of its processes. The same attacks, each in a process of its own without
confinement, are the control.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.device.confine import hostile
from tests.device.workshop import PATIENCE, Running, lacking_here, running, seal, until
from tests.end_to_end.living import make_device, make_home, serving
from tests.end_to_end.new_products import NEWS, Household, household, new_product
from tests.needs import needs

from limpet.scaffold import Template
from limpet.wire.keystore import parse_key_store

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(bool(lacking_here()), reason=f"not confined in full here: {lacking_here()}"),
]

HOSTILE = Path(hostile.__file__).parent
CONTROL = "import sys; sys.path.insert(0, sys.argv[1]); import hostile; hostile.main(*sys.argv[2:])"
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
ROLES = ("keeper", "accounts", "app", "updater", "gateway", "announcer")
INHABITED = (*ROLES, "app-guard", "app-dialer")
LET_IN = """

from limpet.device.confine import hostile

confine, confine_to_open_files, confine_to_ports = hostile.taken(
    confine, confine_to_open_files, confine_to_ports
)
"""
KEEPS_NOTHING = "write = [] if start.role is Role.ANNOUNCER else [start.private]"
"""The announcer has no directory; here it is given one, for the orders and the report."""
RESTS = "IDLE_SECONDS = 30.0"
"""A role that nobody asks anything ends, and on a slow machine the attacker would go with it."""

THREADS = {"start threads"}
FILE = {"write its own file"}
NETWORK = {f"open a {kind}{over} socket" for kind in ("TCP", "UDP") for over in ("", " over IPv6")}
TOKEN = {"open a Unix socket"}
MAY = {
    "keeper": FILE,
    "accounts": FILE | THREADS,
    "app": FILE | THREADS | {"make a pair of sockets"},
    "updater": FILE | THREADS | NETWORK,
    "gateway": FILE,
    "announcer": FILE,
    "app-guard": set[str](),
    "app-dialer": NETWORK,
}
"""What is no attack in the process, because its work needs it."""

PRIVILEGED = {
    "trace", "read memory", "write memory", "open memory", "read environment",
    "take a descriptor", "have all memory executable", "new namespaces", "change the root",
    "enter a namespace", "open a packet socket", "open a raw IP socket", "write to /etc",
    "read the passwords of the host", "run before others", "run in real time", "hold memory",
    "program the kernel", "handle own page faults", "count events of the processor",
    "open by handle", "mount", "swap", "restart", "read the kernel's log",
    "account for processes", "set the clock",
}  # fmt: skip
"""What root alone may do anyway: its control needs root."""

NOT_EVERYWHERE = {
    "open a kernel cipher socket", "open a virtual machine socket", "hide memory",
    "open a multipath TCP socket", "make data executable by a key", "queue calls",
    "load a module", "load a module by descriptor", "start another kernel",
    "be killed last", "raise a limit",
}  # fmt: skip
"""What some kernels do not have or have switched off, and what root of a container may lack."""


@dataclass(frozen=True)
class Taken:
    """A device in whose processes the attacker has been, and what came of it."""

    house: Household
    pids: dict[str, int]
    orders: Path
    reports: dict[str, dict[str, str]]


def let_in(root: Path) -> None:
    """Put the attacker into the device's firmware, as a build of one's own would carry it."""
    for role in ROLES:
        (root / role).mkdir(mode=0o700, exist_ok=True)
        (root / role / "orders").touch()
    confine = root / "slots" / "a" / "runtime" / "limpet" / "device" / "confine"
    shutil.copytree(HOSTILE, confine / "hostile", ignore=shutil.ignore_patterns("__pycache__"))
    with (confine / "__init__.py").open("a") as code:
        code.write(LET_IN)
    replace_once(confine / "_profiles.py", KEEPS_NOTHING, "write = [start.private]")
    replace_once(confine.parent / "link" / "bus.py", RESTS, "IDLE_SECONDS = 900.0")
    seal(root)


def replace_once(file: Path, old: str, new: str) -> None:
    code = file.read_text()
    assert code.count(old) == 1
    file.write_text(code.replace(old, new))


def attack(device: Running, names: Iterable[str], *, key_file: str) -> dict[str, dict[str, str]]:
    """Give the orders, wait for the reports of the processes `names`."""
    root = device.root
    given = {
        "root": str(root),
        "processes": {
            **{role: device.pid_of(role) for role in (*ROLES, "supervisor")},
            "boot": device.boot.pid,
        },
        "secrets": {
            "keeper": key_file,
            "accounts": next((root / "accounts").glob("*.*")).name,
        },
    }
    for role in ROLES:
        (root / role / "orders").write_text(json.dumps(given))  # one write(2)
    until(lambda: all(_report(root, name) for name in names), "an attack did not end", device)
    return {name: _report(root, name) for name in names}


def _report(root: Path, name: str) -> dict[str, str]:
    file = root / name.partition("-")[0] / f"report-{name}"
    text = file.read_text() if file.exists() else ""
    found: dict[str, str] = json.loads(text) if text else {}
    return found


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taken]:
    base = tmp_path_factory.mktemp("taken")
    product = new_product(base, Template.SWITCH, design=NEWS)
    with household(base, product, prepare=let_in) as house:
        house.act("switch", on=True)
        pids = {role: house.device.pid_of(role) for role in (*ROLES, "supervisor")}
        reports = attack(house.device, INHABITED, key_file="idevid.key")
        yield Taken(house, pids, house.device.root / "app" / "orders", reports)


@pytest.mark.parametrize("name", INHABITED)
def test_hostile_code_inside_a_process_is_refused_everything_but_its_work(
    name: str, taken: Taken
) -> None:
    report = taken.reports[name]
    assert len(report) > 80
    assert {title: said for title, said in report.items() if said != "blocked"} == dict.fromkeys(
        MAY[name], "done"
    )


@needs(SOFTHSM, package="softhsm2", untried="no keeper with a token was attacked from inside")
def test_hostile_code_inside_a_keeper_whose_key_is_in_a_token_gets_one_kind_of_socket_more(
    tmp_path: Path,
) -> None:
    home = make_home(tmp_path)
    store = parse_key_store(f"pkcs11:token=limpet?module-path={SOFTHSM}")
    root = make_device(home, key_store=store)
    let_in(root)
    with (
        serving(home) as address,
        running(root, "--resolve", f"vendor.example.com:443={address}") as device,
    ):
        until(device.has_enrolled, "it was not enrolled", device)
        report = attack(device, ["keeper"], key_file="token.pin")["keeper"]
        assert {title for title, said in report.items() if said != "blocked"} == TOKEN | FILE
        assert not device.has_logged("role-ended")


def test_the_device_goes_on_as_if_nothing_had_happened(taken: Taken) -> None:
    house = taken.house
    assert house.use("GET", "/v1/tokens")
    assert {role: house.device.pid_of(role) for role in (*ROLES, "supervisor")} == taken.pids
    assert not house.device.has_logged("role-ended")
    assert not house.device.has_logged("violation")


def test_without_confinement_the_same_attacks_go_through(taken: Taken) -> None:
    titles = set().union(*taken.reports.values())
    given = json.loads(taken.orders.read_text())
    free = Path(given["root"]) / "free"
    free.mkdir()
    outcomes = {}
    for title in sorted(titles):
        done = subprocess.run(
            [sys.executable, "-I", "-B", "-c", CONTROL, HOSTILE.parent, taken.orders, title],
            capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, (title, done.stderr)
        outcomes[title] = done.stdout.strip()
    assert {title: said for title, said in outcomes.items() if "failed" in said} == {}
    blocked = {title for title, said in outcomes.items() if said == "blocked"}
    assert blocked <= NOT_EVERYWHERE | (PRIVILEGED if os.geteuid() != 0 else set())
    shutil.rmtree(free)
