"""The systemd units: they say what the roles' table says, score as they must, and boot a device."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.device.workshop import SRC, make_device
from tests.needs import need, needs

from limpet.device.confine import NETWORKED, PROFILES
from limpet.device.link.permits import Role
from limpet.device.units import SYSUSERS, Site, render_units

UNITS = SRC.parents[1] / "image" / "systemd"
MACHINE = Path(__file__).with_name("machine.sh")
SERVICES = ("limpet.service", *(f"limpet-{role.value}.service" for role in PROFILES))
THRESHOLD = 20  # of systemd-analyze: an exposure of 2.0
BARE = "[Service]\nExecStart=/bin/true\n"

needs_systemd = needs("systemd-analyze", package="systemd", untried="no unit was analysed")


def test_the_units_in_the_repository_are_what_the_table_says() -> None:
    kept = {path.name: path.read_text() for path in UNITS.iterdir()}
    assert kept == dict(render_units(Site())), (
        "write them again: python -m limpet.device.units image/systemd"
    )
    assert set(kept) == {*SERVICES, SYSUSERS}


def test_a_limit_that_the_table_changes_is_changed_in_the_unit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import dataclasses

    changed = dataclasses.replace(PROFILES[Role.KEEPER], open_files=17)
    monkeypatch.setitem(PROFILES, Role.KEEPER, changed)  # type: ignore[arg-type]
    unit = render_units(Site())["limpet-keeper.service"]
    assert "LimitNOFILE=17\n" in unit


@pytest.mark.parametrize("role", list(PROFILES))
def test_a_unit_gives_its_role_the_network_and_the_files_that_it_has(role: Role) -> None:
    unit = render_units(Site())[f"limpet-{role.value}.service"]
    assert ("PrivateNetwork=yes" in unit) == (role not in NETWORKED)
    assert f"ReadWritePaths=/var/lib/limpet/{role.value}\n" in unit
    for other in set(PROFILES) - {role}:
        assert f" -/var/lib/limpet/{other.value}" in unit.replace("=-", "= -")
    assert unit.count("ReadWritePaths=") == 1
    assert f"User=limpet-{role.value}\n" in unit


def test_an_app_that_calls_out_and_a_high_port_change_just_that() -> None:
    units, site = render_units(Site()), Site(app_calls_out=True, listen="0.0.0.0:8443")
    other = render_units(site)
    assert "PrivateNetwork" not in other["limpet-app.service"]
    assert "CAP_NET_BIND_SERVICE" in units["limpet-gateway.service"]
    assert "CAP_NET_BIND_SERVICE" not in other["limpet-gateway.service"]
    assert units["limpet-keeper.service"] == other["limpet-keeper.service"]


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_each_unit_scores_at_most_two(name: str) -> None:
    done = _analyze("security", "--offline=true", f"--threshold={THRESHOLD}", str(UNITS / name))
    assert done.returncode == 0, done.stdout


@needs_systemd
def test_a_bare_unit_does_not(tmp_path: Path) -> None:
    bare = tmp_path / "bare.service"
    bare.write_text(BARE)
    done = _analyze("security", "--offline=true", f"--threshold={THRESHOLD}", str(bare))
    assert done.returncode != 0


@needs_systemd
def test_systemd_finds_nothing_to_object_to(tmp_path: Path) -> None:
    for name, text in render_units(Site(python="/bin/sh")).items():
        (tmp_path / name).write_text(text)
    done = _analyze("verify", *(str(tmp_path / name) for name in SERVICES))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=150, env={"PATH": os.environ["PATH"]}
    )


class Machine:
    """A running machine; commands run in it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """One command in all of the machine's namespaces."""
        inside = ["nsenter", "-t", str(self.pid), "--all", *command]
        return subprocess.run(inside, capture_output=True, text=True, timeout=150)

    def read(self, path: str) -> str:
        """A file of the machine; empty if it is not there."""
        return self.run("cat", path).stdout

    def roles(self) -> dict[str, dict[str, object]]:
        """The device's own report on its roles."""
        try:
            status = json.loads(self.read("/var/lib/limpet/run/status.json"))
        except ValueError:
            return {}
        return {one["role"]: one for one in status["roles"] if one["state"] == "running"}

    def until_up(self, *, but_not: int = 0) -> dict[str, dict[str, object]]:
        """The roles once all run; none as process `but_not`."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            roles = self.roles()
            if len(roles) == 6 and all(one["pid"] != but_not for one in roles.values()):
                return roles
            time.sleep(0.2)
        log = self.read("/var/lib/limpet/log/device.log")
        journal = self.run("journalctl", "--no-pager", "-n", "60").stdout
        raise AssertionError(f"not all roles run\n{log}\n{journal}")


def _lay_out(added: Path) -> None:
    """Units, users and a device, and how they reach this test's interpreter."""
    units = added / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    (added / "etc" / "sysusers.d").mkdir()
    site = Site(python=sys.executable, listen="127.0.0.1:443")
    for name, text in render_units(site).items():
        (added / "etc" / "sysusers.d" / name if name == SYSUSERS else units / name).write_text(text)
    places = " ".join(sorted({sys.prefix, sys.base_prefix, str(SRC.parent)}))
    drop_in = f"[Service]\nProtectHome=tmpfs\nBindReadOnlyPaths={places}\n"
    for name in SERVICES:
        (units / f"{name}.d").mkdir()
        (units / f"{name}.d" / "interpreter.conf").write_text(drop_in)
    (units / "machine.target").write_text(
        "[Unit]\nWants=systemd-journald.service systemd-sysusers.service limpet.service\n"
    )
    make_device(added / "var" / "lib" / "limpet")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if os.geteuid() != 0:
        pytest.skip("only root starts a machine with systemd")
    need("/lib/systemd/systemd", package="systemd", untried="no machine was started by units")
    place = tmp_path_factory.mktemp("machine")
    _lay_out(place / "added")
    (place / "scratch").mkdir()
    kinds = ["--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup"]
    with (place / "said").open("w+") as said:
        process = subprocess.Popen(
            ["unshare", *kinds, "--fork", "--kill-child", "sh", str(MACHINE),
             str(place / "scratch"), str(place / "added")],
            stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        )  # fmt: skip
        try:
            yield Machine(_first_process(process, place / "said"))
        finally:
            process.kill()
            process.wait(60)


def _first_process(process: subprocess.Popen[bytes], said: Path) -> int:
    """The machine's process 1, once systemd answers there; skips where there can be none."""
    end = time.monotonic() + 180
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None and time.monotonic() < end:
        pids = children.read_text().split()
        if pids and Machine(int(pids[0])).run("systemctl", "is-system-running").stdout.strip() in (
            "initializing", "starting", "running", "degraded",
        ):  # fmt: skip
            return int(pids[0])
        time.sleep(0.2)
    pytest.skip(f"this machine boots no systemd in namespaces: {said.read_text()[-400:].strip()}")


@pytest.mark.end_to_end
def test_a_machine_with_systemd_brings_the_device_up_by_its_units(machine: Machine) -> None:
    roles = machine.until_up()
    seen = set()
    for name, one in roles.items():
        status = machine.read(f"/proc/{one['pid']}/status")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        user = machine.run("id", "-u", f"limpet-{name}").stdout.strip()
        assert fields["Uid"].split() == [user] * 4
        assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) & ~(1 << 10) == 0
        unit = machine.read(f"/proc/{one['pid']}/cgroup")
        assert f"limpet-{name}.service" in unit
        held = {c["mechanism"]: c["in_force"] for c in one["confinement"]}  # type: ignore[attr-defined]
        assert all(held.values()), (name, held)
        seen.add(user)
    assert len(seen) == 6


@pytest.mark.end_to_end
def test_systemd_starts_a_role_that_dies_again_and_the_device_takes_it_back(
    machine: Machine,
) -> None:
    before = machine.until_up()["keeper"]["pid"]
    assert machine.run("kill", "-KILL", str(before)).returncode == 0
    machine.until_up(but_not=int(str(before)))
    main = machine.run("systemctl", "show", "-P", "NRestarts", "limpet-keeper").stdout
    assert int(main) >= 1


@pytest.mark.end_to_end
def test_a_stopped_device_leaves_no_role_behind(machine: Machine) -> None:
    machine.until_up()
    assert machine.run("systemctl", "stop", "limpet.service").returncode == 0
    for name in SERVICES:
        state = machine.run("systemctl", "show", "-P", "ActiveState", name).stdout.strip()
        assert state in ("inactive", "failed"), name
    assert machine.run("pgrep", "-f", "limpet.device").stdout == ""
    assert machine.run("systemctl", "start", "limpet.service").returncode == 0
    machine.until_up()
