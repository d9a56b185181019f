"""Confinement, attacked: each thing that a taken role tries is refused by the kernel.

The same attempts succeed without confinement; otherwise a refusal would prove nothing. Every
version of Landlock up to this kernel's own is attacked, and a kernel without it.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from limpet.demo.world import bear_gaps
from limpet.device.confine import MECHANISMS, _seccomp, missing_mechanisms, verify_confinement
from limpet.device.confine._allowed import Compartment
from limpet.device.confine._landlock import abi_version
from limpet.device.confine._profiles import PROFILES
from limpet.device.enclosure import USER_IDS
from limpet.device.link.messages import Confinement
from limpet.device.link.permits import Role
from limpet.errors import Rejected

ATTACKS = Path(__file__).with_name("attacks.py")
OLDER_KERNEL = Path(__file__).with_name("older_kernel.py")
SRC = Path(__file__).parents[3] / "src"
PRODUCT = SRC.parent / "examples" / "thermostat" / "product.toml"
ROOTLESS = os.geteuid() != 0
OWN = abi_version()
VERSIONS = sorted({version for version in (0, 1, 2, 3, 4, 5, 6) if version < OWN} | {OWN})

REFUSED_SINCE = {
    1: {
        "read another role", "read the host", "write the slot", "write beside", "press the button",
    },
    4: {"connect elsewhere", "connect to the vendor"},
}  # fmt: skip
"""What each version of Landlock brought beyond what seccomp refuses by itself."""

BY_SECCOMP = {
    "start a program", "fork", "execute", "open raw", "open netlink", "trace",
    "read memory", "new namespace", "mount", "program the kernel", "link out",
    "truncate the slot", "signal",
}  # fmt: skip
NETWORK = {"open tcp", "open udp", "listen elsewhere", "connect to the vendor", "connect elsewhere"}
ALWAYS_DONE = {"read the slot", "write own", "rename own"}
THREADS = {"start a thread"}
EVERYTHING = BY_SECCOMP | NETWORK | ALWAYS_DONE | THREADS | set().union(*REFUSED_SINCE.values())


def _by_landlock(version: int) -> set[str]:
    return set().union(*(what for since, what in REFUSED_SINCE.items() if since <= version))


def _attack(role: str, root: Path, version: int = OWN) -> dict[str, str]:
    for name in ("slots/a", "other", *(r.value for r in Role)):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "run").mkdir(exist_ok=True)
    os.mkfifo(root / "run" / "button")
    board = os.open(root / "run" / "button", os.O_RDWR | os.O_NONBLOCK)  # as the supervisor has it
    (root / "other" / "secret").write_bytes(b"secret")
    (root / "slots" / "a" / "file").write_bytes(b"firmware")
    shutil.copy(PRODUCT, root / "slots" / "a")
    gaps = ("landlock", 1), ("landlock-network", 4), ("landlock-signals", 6)
    design = root / "slots" / "a" / "product.toml"
    bear_gaps(design, [(name, "too old") for name, since in gaps if version < since])
    with subprocess.Popen(["/bin/sleep", "60"]) as victim:
        run = [sys.executable, "-B", str(ATTACKS), role, str(root), str(victim.pid)]
        done = subprocess.run(
            [*_on(version), *run], capture_output=True, text=True, timeout=150,
            env={"PYTHONPATH": str(SRC)},
        )  # fmt: skip
        victim.kill()
    os.close(board)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _on(version: int, *without: str) -> list[str]:
    """What stands before a command so that it finds this version of Landlock."""
    if version == OWN and not without:
        return []
    return [sys.executable, "-B", str(OLDER_KERNEL), ",".join([str(version), *without])]


def _refused(found: dict[str, str]) -> set[str]:
    return {name for name, what in found.items() if what == "PermissionError"}


def test_without_confinement_the_attempts_succeed(tmp_path: Path) -> None:
    found = _attack("free", tmp_path)
    assert set(found) == EVERYTHING
    privileged = {"trace", "open raw", "new namespace", "program the kernel"}
    expected = EVERYTHING - {"execute", "mount"} - (privileged if ROOTLESS else set())
    assert {name for name in expected if found[name] not in ("done", "OSError")} == set()
    assert found["execute"] == "FileNotFoundError"  # the kernel looked for the program
    if not ROOTLESS:
        assert found["mount"] == "FileNotFoundError"  # and for the mount point


@pytest.mark.parametrize(
    ("role", "version"),
    [
        *((Role.KEEPER, version) for version in VERSIONS),
        *((role, version) for role in (Role.ACCOUNTS, Role.APP) for version in {0, OWN}),
    ],
)
def test_a_role_without_network_can_reach_nothing_but_its_own_files(
    role: Role, version: int, tmp_path: Path
) -> None:
    found = _attack(role.value, tmp_path, version)
    threads = THREADS if role is Role.KEEPER else set()
    assert _refused(found) == BY_SECCOMP | NETWORK | threads | _by_landlock(version)
    assert {found[name] for name in ALWAYS_DONE} == {"done"}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_taken_gateway_can_neither_call_out_nor_listen_elsewhere(
    version: int, tmp_path: Path
) -> None:
    found = _attack("gateway", tmp_path, version)
    assert _refused(found) == BY_SECCOMP | NETWORK | THREADS | _by_landlock(version)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_taken_updater_reaches_the_vendor_and_cannot_accept(version: int, tmp_path: Path) -> None:
    found = _attack("updater", tmp_path, version)
    refused = BY_SECCOMP | {"listen elsewhere"} | _by_landlock(version)
    assert _refused(found) == refused - {"connect to the vendor"}
    assert found["connect to the vendor"] == "done"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_taken_announcer_opens_no_socket_and_writes_no_file(version: int, tmp_path: Path) -> None:
    found = _attack("announcer", tmp_path, version)
    refused = _refused(found)
    # Its sockets are open before; afterwards it opens none, of no kind.
    assert refused >= BY_SECCOMP | {"open tcp", "open udp", "listen elsewhere"}
    # It keeps nothing: its own directory is not its to write either.
    assert (found["write own"] == "done") is (version < 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_said_to_be_in_force_is_what_the_kernel_has(version: int, tmp_path: Path) -> None:
    said = _attack("keeper", tmp_path, version).pop("confinement")
    missing = {"landlock"} if version < 1 else set()
    missing |= {"landlock-network"} if version < 4 else set()
    missing |= {"landlock-signals"} if version < 6 else set()
    by_itself = set(MECHANISMS) - {USER_IDS}  # those are given to it from outside
    assert said == {name: name not in missing for name in by_itself}  # type: ignore[comparison-overlap]


def _probed(version: int, *without: str) -> set[str]:
    code = (
        "from limpet.device.confine import missing_mechanisms as m;"
        "print(*(name for name, reason in m() if reason))"
    )
    done = subprocess.run(
        [*_on(version, *without), sys.executable, "-B", "-c", code],
        capture_output=True, text=True, timeout=150, env={"PYTHONPATH": str(SRC)}, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


def test_the_probe_names_what_a_machine_lacks() -> None:
    of_landlock = {"landlock", "landlock-network", "landlock-signals"}
    assert _probed(0) == of_landlock
    assert _probed(0, "no-seccomp") == of_landlock | {"seccomp", "memory-deny-write-execute"}
    if OWN > 2:
        assert _probed(2) == of_landlock - {"landlock"}
    if OWN > 5:
        assert _probed(5) == {"landlock-signals"}


def test_the_probe_confines_its_caller_by_nothing(tmp_path: Path) -> None:
    before = Path("/proc/self/status").read_text().split("NoNewPrivs")[1].split("Cpus")[0]
    missing_mechanisms()
    after = Path("/proc/self/status").read_text().split("NoNewPrivs")[1].split("Cpus")[0]
    assert after == before
    (tmp_path / "file").write_text("x")


@pytest.mark.skipif(OWN == 0, reason="this kernel has no Landlock that such a place would undo")
def test_a_device_below_what_every_role_reads_is_not_started(tmp_path: Path) -> None:
    """The directory of the program is on its path, and so readable: nothing there is private."""
    shutil.copy(ATTACKS, tmp_path)
    root = tmp_path / "device"
    (root / "slots" / "a").mkdir(parents=True)
    shutil.copy(PRODUCT, root / "slots" / "a")
    # A rationale for an old kernel does not excuse a bad place.
    bear_gaps(root / "slots" / "a" / "product.toml", [("landlock", "too old")])
    run = [sys.executable, "-B", str(tmp_path / ATTACKS.name), "keeper", str(root), "1"]
    done = subprocess.run(
        run, capture_output=True, text=True, timeout=150, env={"PYTHONPATH": str(SRC)}
    )
    assert done.returncode != 0
    assert "which every role may read" in done.stderr


def test_every_role_that_is_started_has_a_profile() -> None:
    assert set(PROFILES) == set(Role) - {Role.SUPERVISOR}


def test_a_missing_mechanism_stops_the_start() -> None:
    missing = (Confinement(mechanism="landlock", in_force=False, detail="the kernel has none"),)
    with pytest.raises(Rejected, match="landlock: the kernel has none") as caught:
        verify_confinement(missing, frozenset())
    assert "[[confinement_gaps]]" in caught.value.hint
    assert caught.value.hint.endswith(": landlock")


def test_a_missing_mechanism_with_a_written_rationale_does_not() -> None:
    missing = (Confinement(mechanism="landlock", in_force=False, detail="the kernel has none"),)
    verify_confinement(missing, frozenset({"landlock"}))
    for other in ("seccomp", "landlock-network", "landlock-signals"):
        with pytest.raises(Rejected):
            verify_confinement(missing, frozenset({other}))


@pytest.mark.parametrize("part", ["landlock-network", "landlock-signals"])
def test_a_rationale_for_landlocks_files_does_not_excuse_its_other_parts(part: str) -> None:
    missing = (Confinement(mechanism=part, in_force=False, detail="too old"),)
    with pytest.raises(Rejected):
        verify_confinement(missing, frozenset({"landlock"}))
    verify_confinement(missing, frozenset({part}))


def test_an_unknown_machine_has_no_filter_rather_than_a_wrong_one() -> None:
    with pytest.raises(ValueError, match="riscv64"):
        _seccomp.build("riscv64", Compartment.KEEPER, pid=1)
