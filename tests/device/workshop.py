"""Devices for tests: real boot, real supervisor, a slot with small roles of the test's own.

The small roles are the programs in `small_roles.py`; everything below them is the real code.
"""

import atexit
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.util import source_hash
from pathlib import Path
from typing import Any

import msgspec
from tests.example import kept

from limpet.demo.world import bear_gaps
from limpet.device.confine import MECHANISMS, missing_mechanisms
from limpet.device.link.identity import DeviceIdentity, save_identity
from limpet.device.link.journal import Entry, read_journal
from limpet.firmware.slots import (
    BOOT_FILE,
    BootState,
    SlotRecord,
    factory_state,
    load_boot_state,
    save_boot_state,
)
from limpet.firmware.tree import digest_tree
from limpet.release._bytecode import compile_tree

SRC = Path(__file__).parents[2] / "src" / "limpet"
SMALL_ROLES = Path(__file__).with_name("small_roles.py")
PACKAGES = ("crypto", "https", "product", "wire", "firmware", "device")
ROLES = ("keeper", "accounts", "app", "updater", "gateway", "announcer")
PATIENCE = 180.0  # seconds: what never comes costs them once, what comes late costs no more
CHECKED_HASH = (3).to_bytes(4, "little")
LOOK_SECONDS, LATEST_LOOK_SECONDS = 0.02, 0.5
STOP_SECONDS = 60.0  # boot needs five at most, of a machine that is not shared


@functools.cache
def lacking_here() -> tuple[tuple[str, str], ...]:
    """What this machine cannot confine; the tests' devices bear it, and are tested all the same."""
    return missing_mechanisms()


def missing_in(confinement: Sequence[Mapping[str, Any]]) -> set[str]:
    """What of a role's confinement is not in force though it is asked of it, by the names of
    [[confinement_gaps]]: namespaces are not, nor ids of their own of an ordinary user's roles."""
    unasked = set() if os.geteuid() == 0 else {"user-id"}
    asked = set(MECHANISMS) - unasked
    return {
        MECHANISMS[one["mechanism"]]
        for one in confinement
        if not one["in_force"] and one["mechanism"] in asked
    }


@functools.cache
def example_product() -> Path:
    """The example; where this machine lacks a mechanism, a copy that bears it."""
    source = kept(SRC.parents[1] / "examples" / "thermostat")
    if not lacking_here():
        return source
    place = tempfile.mkdtemp(prefix="limpet-example-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    copy = Path(place) / "thermostat"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    bear_gaps(copy / "product.toml", lacking_here())
    return copy


def make_slot(slot: Path, *, version: str = "1.0.0", roles: Path = SMALL_ROLES) -> SlotRecord:
    """A slot with the project's code, except that the roles are small ones."""
    runtime = slot / "runtime" / "limpet"
    skip = shutil.ignore_patterns("__pycache__", *ROLES)
    for package in PACKAGES:
        shutil.copytree(SRC / package, runtime / package, ignore=skip)
    for file in ("__init__.py", "py.typed", "errors.py", "storage.py"):
        shutil.copy(SRC / file, runtime / file)
    compile_sources(slot)
    for role in ROLES:
        package_directory = runtime / "device" / role
        package_directory.mkdir()
        (package_directory / "__init__.py").write_text('"""A small role."""\n')
        shutil.copy(roles, package_directory / "__main__.py")
    (slot / "firmware.json").write_text(json.dumps({"version": version}))
    shutil.copy(example_product() / "product.toml", slot)
    return SlotRecord(
        version=version,
        manifest_sha256="0" * 64,
        tree_sha256=digest_tree(slot),
        security_counter=1,
    )


def compile_sources(tree: Path) -> None:
    """Byte code for what is in `tree` now, so that no start of a role compiles all that it imports.

    As in a build, but Python looks whether the source is still the same (PEP 552, checked), for
    tests change some.
    """
    for name, code in compile_tree(tree).items():
        path = tree / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(code[:4] + CHECKED_HASH + code[8:])


def make_device(root: Path) -> Path:
    """A finished device with small roles in slot a."""
    (root / "slots").mkdir(parents=True)
    record = make_slot(root / "slots" / "a")
    save_boot_state(root / "slots" / BOOT_FILE, factory_state(record))
    made_at = datetime(2026, 1, 1, tzinfo=UTC)
    identity = DeviceIdentity(
        maker="Example Instruments",
        model="thermostat",
        hardware_revision="A1",
        serial="TH-00000001",
        manufactured_at=made_at,
    )
    save_identity(root, identity)
    return root


def seal(root: Path, *, stale: bool = False) -> None:
    """Make what a test changed in slot a what boot expects there.

    Byte code of a changed source goes (Python would run it all the same), unless `stale`.
    """
    for code in () if stale else (root / "slots" / "a").rglob("*.pyc"):
        source = code.parents[1] / f"{code.name.partition('.')[0]}.py"
        if code.read_bytes()[8:16] != source_hash(source.read_bytes()):  # PEP 552
            code.unlink()
    path = root / "slots" / BOOT_FILE
    state = load_boot_state(path)
    assert state.a is not None
    record = msgspec.structs.replace(state.a, tree_sha256=digest_tree(root / "slots" / "a"))
    save_boot_state(path, msgspec.structs.replace(state, a=record))


class Running:
    """A device that boot was started for."""

    def __init__(self, root: Path, start: Callable[[], subprocess.Popen[str]]) -> None:
        self.root, self._start = root, start
        self.boot = start()

    def start_again(self) -> None:
        """As the system's init does when boot has ended."""
        self.boot.wait(STOP_SECONDS)
        self.boot = self._start()

    @property
    def state(self) -> BootState:
        """Boot's record."""
        return load_boot_state(self.root / "slots" / BOOT_FILE)

    def log(self) -> list[Entry]:
        """The device's log so far."""
        return list(read_journal(self.root))

    def has_logged(self, event: str, detail: str = "", *, times: int = 1) -> bool:
        """Whether the log has such entries."""
        found = [e for e in self.log() if e.event == event and detail in e.detail]
        return len(found) >= times

    def has_enrolled(self, *roles: str) -> bool:
        """Whether each of `roles` has its certificate; the gateway and the updater, if of none."""
        done = {entry.role for entry in self.log() if entry.event == "enrolled"}
        return done >= set(roles or ("gateway", "updater"))

    def pid_of(self, role: str) -> int:
        """The process of `role`, or of the supervisor, by the device's own status file.

        A role at rest has none: a test that wants one must not wait so long, or wake it.
        """
        pid = self.find_pid(role)
        assert pid > 0, f"{role} has no process"
        return pid

    def find_pid(self, role: str) -> int:
        """As `pid_of`; 0 while there is none."""
        status = json.loads((self.root / "run" / "status.json").read_text())
        if role == "supervisor":
            return int(status["supervisor_pid"])
        return int(next(r["pid"] for r in status["roles"] if r["role"] == role))

    def state_of(self, role: str) -> str:
        """What the supervisor says of `role`: starting, running, resting, stopped."""
        status = json.loads((self.root / "run" / "status.json").read_text())
        return str(next(r["state"] for r in status["roles"] if r["role"] == role))

    def processes(self) -> list[int]:
        """Every process that has this device's directory in its command line."""
        return processes_of(self.root)


@contextmanager
def running(
    root: Path,
    *options: str,
    wait: bool = True,
    under: Sequence[str] = (),
    interpreter: str = sys.executable,
) -> Iterator[Running]:
    """Run the device at `root`; at the end it is stopped and nothing of it is left.

    `under` is a program and its arguments that start the device.
    """
    errors = (root / "stderr").open("w+")
    command = [*under, interpreter, "-m", "limpet.device.boot", str(root), *options]
    environment = {**os.environ, "PYTHONPATH": str(SRC.parent)}
    device = Running(
        root, lambda: subprocess.Popen(command, stderr=errors, text=True, env=environment)
    )
    try:
        if wait:
            until(lambda: device.has_logged("running"), "the device did not start", device)
        yield device
    finally:
        device.boot.terminate()
        try:
            device.boot.wait(STOP_SECONDS)
        finally:
            device.boot.kill()
            device.boot.wait()
            errors.close()
            for pid in processes_of(root):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def until(
    condition: Callable[[], bool],
    otherwise: str,
    device: Running | None = None,
    *,
    patience: float = PATIENCE,
) -> None:
    """Wait for `condition`, at most `patience` seconds.

    Looking takes a fifth of a processor at most: the device is to have the rest.
    """
    end = time.monotonic() + patience
    while (begun := time.monotonic()) < end:
        if condition():
            return
        time.sleep(min(max(LOOK_SECONDS, 4 * (time.monotonic() - begun)), LATEST_LOOK_SECONDS))
    lines = [f"{e.role} {e.event}: {e.detail}" for e in device.log()] if device else []
    raise AssertionError("\n".join([otherwise, *(line[:300] for line in lines[-12:])]))


def processes_of(root: Path) -> list[int]:
    """Processes whose command line names `root` (zombies have none)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(word.startswith(bytes(root)) for word in words):
                found.append(int(entry.name))
    return found
