"""Confinement, attacked: each thing that a taken role tries is refused by the kernel.

The same attempts succeed without confinement; otherwise a refusal would prove nothing.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from limpet.device.confine import _seccomp, verify_confinement
from limpet.device.confine._landlock import abi_version
from limpet.device.confine._profiles import PROFILES
from limpet.device.link.messages import Confinement
from limpet.device.link.permits import Role
from limpet.errors import Rejected

ATTACKS = Path(__file__).with_name("attacks.py")
SRC = Path(__file__).parents[3] / "src"
ROOTLESS = os.geteuid() != 0

pytestmark = pytest.mark.skipif(abi_version() < 6, reason="this kernel has no Landlock 6")

ALWAYS_REFUSED = {
    "start a program", "fork", "execute", "read another role", "read the host", "write the slot",
    "write beside", "link out", "open raw", "open netlink", "listen elsewhere", "trace",
    "read memory", "signal", "new namespace", "mount", "program the kernel",
}  # fmt: skip
NETWORK = {"open tcp", "open udp", "connect to the vendor", "connect elsewhere"}
ALWAYS_DONE = {"read the slot", "write own", "rename own", "start a thread"}


def _attack(role: str, root: Path) -> dict[str, str]:
    for name in ("slots/a", "other", *(r.value for r in Role)):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "other" / "secret").write_bytes(b"secret")
    (root / "slots" / "a" / "file").write_bytes(b"firmware")
    with subprocess.Popen(["/bin/sleep", "60"]) as victim:
        run = [sys.executable, "-B", str(ATTACKS), role, str(root), str(victim.pid)]
        done = subprocess.run(
            run, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(SRC)}
        )
        victim.kill()
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _refused(found: dict[str, str]) -> set[str]:
    return {name for name, what in found.items() if what == "PermissionError"}


def test_without_confinement_the_attempts_succeed(tmp_path: Path) -> None:
    found = _attack("free", tmp_path)
    privileged = {"trace", "open raw", "new namespace", "program the kernel"}
    tried = (ALWAYS_REFUSED | NETWORK | ALWAYS_DONE) - {"execute", "mount"}
    expected = tried - (privileged if ROOTLESS else set())
    assert {name for name in expected if found[name] not in ("done", "OSError")} == set()
    assert found["execute"] == "FileNotFoundError"  # the kernel looked for the program
    assert found["mount"] == "FileNotFoundError"  # and for the mount point


@pytest.mark.parametrize("role", [Role.KEEPER, Role.ACCOUNTS, Role.APP])
def test_a_role_without_network_can_reach_nothing_but_its_own_files(
    role: Role, tmp_path: Path
) -> None:
    found = _attack(role.value, tmp_path)
    assert set(found.pop("confinement").values()) == {True}  # type: ignore[attr-defined]
    assert _refused(found) == ALWAYS_REFUSED | NETWORK
    assert {found[name] for name in ALWAYS_DONE} == {"done"}


def test_a_taken_gateway_can_neither_call_out_nor_listen_elsewhere(tmp_path: Path) -> None:
    found = _attack("gateway", tmp_path)
    assert _refused(found) == ALWAYS_REFUSED | NETWORK - {"open tcp"}


def test_a_taken_updater_reaches_the_vendor_and_cannot_accept(tmp_path: Path) -> None:
    found = _attack("updater", tmp_path)
    assert _refused(found) == (ALWAYS_REFUSED - {"write the slot"}) | {"connect elsewhere"}
    assert found["connect to the vendor"] == "done"


def test_a_device_below_what_every_role_reads_is_not_started(tmp_path: Path) -> None:
    """The directory of the program is on its path, and so readable: nothing there is private."""
    shutil.copy(ATTACKS, tmp_path)
    root = tmp_path / "device"
    (root / "slots" / "a").mkdir(parents=True)
    product = SRC.parent / "examples" / "thermostat" / "product.toml"
    shutil.copy(product, root / "slots" / "a")
    run = [sys.executable, "-B", str(tmp_path / ATTACKS.name), "keeper", str(root), "1"]
    done = subprocess.run(
        run, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(SRC)}
    )
    assert done.returncode != 0
    assert "which every role may read" in done.stderr


def test_every_role_that_is_started_has_a_profile() -> None:
    assert set(PROFILES) == set(Role) - {Role.SUPERVISOR}


def test_a_missing_mechanism_stops_the_start() -> None:
    missing = (Confinement(mechanism="landlock", in_force=False, detail="the kernel has none"),)
    with pytest.raises(Rejected, match="landlock: the kernel has none"):
        verify_confinement(missing, frozenset())


def test_a_missing_mechanism_with_a_written_rationale_does_not() -> None:
    missing = (Confinement(mechanism="landlock", in_force=False, detail="the kernel has none"),)
    verify_confinement(missing, frozenset({"landlock"}))
    with pytest.raises(Rejected):
        verify_confinement(missing, frozenset({"seccomp"}))


def test_an_unknown_machine_has_no_filter_rather_than_a_wrong_one() -> None:
    with pytest.raises(ValueError, match="riscv64"):
        _seccomp.build("riscv64", _seccomp.Sockets.NONE)


@pytest.mark.parametrize("machine", sorted(_seccomp.TABLES))
def test_no_number_of_a_call_table_stands_twice(machine: str) -> None:
    numbers = list(_seccomp.TABLES[machine].refused.values())
    assert len(numbers) == len(set(numbers))
