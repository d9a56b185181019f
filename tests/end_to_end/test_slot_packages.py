"""A device whose firmware brings its packages: every role runs on them, confined in full, and a
byte of them that changed stops the slot."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.device.workshop import PATIENCE, missing_in, processes_of, running, seal, until
from tests.end_to_end.living_device import ROLES, Living, Owner, living_device
from tests.release.packages.real import real_packages

from limpet.device.confine import missing_mechanisms
from limpet.device.link.launch import role_command
from limpet.firmware.tree import digest_tree

pytestmark = pytest.mark.end_to_end

INSTALLED = sysconfig.get_path("purelib")
POISONED = "a source of the slot was compiled"


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    directory = tmp_path_factory.mktemp("device")
    with living_device(directory, packages=real_packages()) as device:
        yield device


def packages_of(living: Living) -> Path:
    return living.device.root / "slots" / "a" / "packages"


def libraries_of(pid: int) -> set[Path]:
    """Every file that is mapped into the process."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {Path(line.split(maxsplit=5)[5]) for line in lines if line.count("/") > 1}


def test_every_role_has_loaded_the_slots_libraries_and_none_that_is_installed(
    living: Living,
) -> None:
    Owner(living).claim()  # wakes accounts, if they rest
    slot = packages_of(living)
    loaded = {role: libraries_of(pid) for role, pid in living.pids().items()}
    assert {"supervisor", "app", "gateway", "accounts", "announcer"} <= set(loaded)
    for role, files in loaded.items():
        (core,) = [file for file in files if file.match("msgspec/_core.*.so")]
        assert slot in core.parents, role
        assert not [file for file in files if INSTALLED in map(str, file.parents)], role
    for role in {"keeper", "accounts", "gateway", "updater"} & set(loaded):
        assert slot / "cryptography/hazmat/bindings/_rust.abi3.so" in loaded[role]
    # This process, which was started otherwise, has them from where they are installed.
    assert [one for one in libraries_of(os.getpid()) if INSTALLED in map(str, one.parents)]


def test_all_that_confines_a_role_is_in_force_there(living: Living) -> None:
    if missing_mechanisms():
        pytest.skip(f"this machine lacks {missing_mechanisms()}")
    status = json.loads((living.device.root / "run" / "status.json").read_text())
    assert {one["role"] for one in status["roles"]} == set(ROLES)
    for one in status["roles"]:
        assert one["confinement"], one["role"]
        assert not missing_in(one["confinement"]), one["role"]


def test_no_role_finds_the_installed_packages_in_its_view_of_the_files(living: Living) -> None:
    slot = packages_of(living)
    for role, pid in living.pids().items():
        if role == "supervisor":
            continue
        root = Path("/proc") / str(pid) / "root"
        if not root.exists():
            continue  # it has just come to rest
        if os.stat(root).st_ino == os.stat("/").st_ino:
            pytest.skip("this machine grants no namespaces")
        assert (root / slot.relative_to("/") / "packages.json").is_file(), role
        assert not (root / Path(INSTALLED).relative_to("/")).exists(), role


def test_the_slots_packages_come_after_pythons_own_and_nothing_after_them(living: Living) -> None:
    slot = packages_of(living).parent
    command = role_command(slot, "supervisor", ())
    start = command.index("-c") + 1
    before_imports = command[start].split("from limpet")[0]
    command[start] = f"{before_imports}import json; print(json.dumps(sys.path))"
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    path = json.loads(done.stdout)
    assert (path[0], path[-1]) == (str(slot / "runtime"), str(slot / "packages"))
    assert INSTALLED not in path
    assert sysconfig.get_path("stdlib") in path[1:-1]


@pytest.mark.parametrize("what", ["changed", "added", "removed"])
def test_a_slot_whose_packages_are_not_the_signed_ones_is_never_started(
    living: Living, tmp_path: Path, what: str
) -> None:
    root = tmp_path / "device"
    copy_of(living, root)
    library = root / "slots/a/packages/cryptography/hazmat/bindings/_rust.abi3.so"
    match what:
        case "changed":
            with library.open("r+b") as file:
                file.seek(1 << 20)
                byte = file.read(1)
                file.seek(1 << 20)
                file.write(bytes([byte[0] ^ 1]))
        case "added":
            (root / "slots/a/packages/sitecustomize.py").write_text("raise SystemExit\n")
        case _:
            shutil.rmtree(root / "slots/a/packages")  # else what is installed would be taken
    command = [sys.executable, "-I", "-m", "limpet", "device", "run", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert "no slot holds firmware that may run" in done.stderr
    assert processes_of(root) == []


@pytest.mark.parametrize("packages", ["of the slot", "installed"])
def test_all_that_the_roles_load_of_a_slot_is_its_byte_code(
    living: Living, tmp_path: Path, packages: str
) -> None:
    """Every source is replaced by one that ends whoever compiles it."""
    slot = copy_with_poisoned_sources(living, tmp_path / "device")
    if packages == "installed":
        shutil.rmtree(slot / "packages")
    seal(tmp_path / "device", stale=True)
    before = digest_tree(slot)
    with running(tmp_path / "device", "--listen", "127.0.0.1:0", wait=False) as device:
        other = Living(device, living.home, living.code)
        until(lambda: set(other.running_roles()) == set(ROLES), "roles do not run", device)
        listening = device.root / "run" / "listening.json"
        until(listening.exists, "nobody listens", device)
        assert Owner(other).ask("GET", "/v1/identity")[0] == 200
        assert not device.has_logged("crash")
    assert digest_tree(slot) == before  # and nothing was written there


def test_a_slot_without_byte_code_is_compiled_and_thus_dies_of_such_sources(
    living: Living, tmp_path: Path
) -> None:
    """What the test before this one has to be compared with."""
    slot = copy_with_poisoned_sources(living, tmp_path / "device")
    for cache in list(slot.rglob("__pycache__")):
        shutil.rmtree(cache)
    seal(tmp_path / "device")
    with running(tmp_path / "device", "--listen", "127.0.0.1:0", wait=False) as device:
        said = tmp_path / "device" / "stderr"
        until(lambda: POISONED in said.read_text(), "it was not compiled", device)
        assert not device.has_logged("running")


def copy_of(living: Living, root: Path) -> None:
    """The device as it is, while it goes on: what it replaces meanwhile may be missing."""

    def copy(source: str, to: str) -> None:
        with suppress(FileNotFoundError):
            shutil.copy2(source, to)

    ignored = shutil.ignore_patterns("run", "log")
    shutil.copytree(living.device.root, root, ignore=ignored, copy_function=copy)


def copy_with_poisoned_sources(living: Living, root: Path) -> Path:
    copy_of(living, root)
    slot = root / "slots" / "a"
    for source in slot.rglob("*.py"):
        source.write_text(f"raise SystemExit({POISONED!r})\n")
    return slot


def test_a_copy_that_nobody_changed_starts(living: Living, tmp_path: Path) -> None:
    """What the test before this one has to be compared with."""
    root = tmp_path / "device"
    copy_of(living, root)
    with running(root, "--listen", "127.0.0.1:0") as device:
        until(lambda: device.has_logged("running"), "it does not run", device)
