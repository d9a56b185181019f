"""Whole devices on machines that lack a mechanism: with a written rationale, or not at all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tests.device.workshop import Running, make_device, running, until

from limpet.demo.world import bear_gaps
from limpet.device.confine import MECHANISMS
from limpet.device.confine._landlock import abi_version
from limpet.firmware.slots import BOOT_FILE, load_boot_state, save_boot_state
from limpet.firmware.tree import digest_tree

pytestmark = pytest.mark.end_to_end

OLDER_KERNEL = Path(__file__).with_name("older_kernel.py")
DEBIAN_12 = "2"  # the version of Landlock in its kernel, 6.1
UNASKED = set() if os.geteuid() == 0 else {"user-id"}  # an ordinary user's device has one id
LANDLOCK = ("landlock", "landlock-network", "landlock-signals")
SAID = "this system cannot confine the process"
SINCE = {"landlock": 1, "landlock-network": 4, "landlock-signals": 6}


def lacking(machine: str) -> tuple[str, ...]:
    version, _, more = machine.partition(",")
    landlock = min(int(version), abi_version())
    without = ("seccomp", "memory-deny-write-execute") if more else ()
    return tuple(name for name, since in SINCE.items() if landlock < since) + without


def on(machine: str) -> list[str]:
    return [sys.executable, "-B", str(OLDER_KERNEL), machine]


def arguing(root: Path, mechanisms: tuple[str, ...]) -> Path:
    """A device whose design file has a rationale for each of `mechanisms`."""
    make_device(root)
    slot = root / "slots" / "a"
    bear_gaps(slot / "product.toml", [(name, "the board's kernel") for name in mechanisms])
    path = root / "slots" / BOOT_FILE
    state = load_boot_state(path)
    assert state.a is not None
    record = msgspec.structs.replace(state.a, tree_sha256=digest_tree(slot))
    save_boot_state(path, msgspec.structs.replace(state, a=record))
    return root


def in_force(device: Running) -> dict[str, dict[str, bool]]:
    status = json.loads((device.root / "run" / "status.json").read_text())
    return {
        role["role"]: {one["mechanism"]: one["in_force"] for one in role["confinement"]}
        for role in status["roles"]
    }


@pytest.mark.parametrize(
    ("machine", "argued"),
    [
        ("0", ()),
        ("0", ("landlock",)),  # a rationale for files says nothing about ports
        ("0,no-seccomp", LANDLOCK),
        pytest.param(
            DEBIAN_12,
            ("landlock", "landlock-network"),
            marks=pytest.mark.skipif(abi_version() < 1, reason="the first case covers this one"),
        ),
    ],
)
def test_a_device_does_not_start_where_a_mechanism_is_missing_that_nobody_argued(
    machine: str, argued: tuple[str, ...], tmp_path: Path
) -> None:
    unargued = [name for name in lacking(machine) if name not in argued]
    with running(arguing(tmp_path / "d", argued), wait=False, under=on(machine)) as device:
        until(lambda: device.has_logged("stderr", SAID), "it said nothing", device)
        said = next(e for e in device.log() if SAID in e.detail).detail
        assert f"a rationale for each mechanism of: {', '.join(unargued)}" in said
        assert not device.has_logged("running")


@pytest.mark.parametrize("machine", ["0", DEBIAN_12, "5", "0,no-seccomp"])
def test_a_device_starts_with_a_rationale_and_tells_what_is_not_in_force(
    machine: str, tmp_path: Path
) -> None:
    missing = lacking(machine)
    with running(arguing(tmp_path / "d", missing), under=on(machine)) as device:
        for role, found in in_force(device).items():
            lost = {name for name, held in found.items() if not held and name in MECHANISMS}
            assert lost - UNASKED == set(missing), role
            assert found["no-new-privileges"]
        if missing:
            assert device.has_logged("confinement-gap", missing[0])


NOBODY_ELSE = """
import ctypes, os, sys
from pathlib import Path
user, group = os.getuid(), os.getgid()
if ctypes.CDLL(None).unshare(0x10000000) != 0:  # CLONE_NEWUSER
    sys.exit("no user namespace")
for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
    Path("/proc/self", name).write_text(text)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""As in a container whose root has no other user id to give away."""


def a_lonely_root() -> list[str]:
    under = [sys.executable, "-B", "-c", NOBODY_ELSE]
    if subprocess.run([*under, "/bin/true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine permits no user namespace")
    return under


def test_a_root_without_other_ids_to_give_does_not_start_a_device_that_argues_nothing(
    tmp_path: Path,
) -> None:
    under = a_lonely_root()
    with running(arguing(tmp_path / "d", ()), wait=False, under=under) as device:
        until(lambda: device.has_logged("stderr", SAID), "it said nothing", device)
        said = next(e for e in device.log() if SAID in e.detail).detail
        assert "root may take no other user id here" in said
        assert "a rationale for each mechanism of: user-id" in said
        assert not device.has_logged("running")


def test_such_a_root_starts_it_with_a_rationale_and_says_what_is_missing(tmp_path: Path) -> None:
    under = a_lonely_root()
    with running(arguing(tmp_path / "d", ("user-id",)), under=under) as device:
        for found in in_force(device).values():
            assert not found["user-id"]
            assert found["capabilities"]
