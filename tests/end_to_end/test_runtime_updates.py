"""An update replaces limpet's own runtime, boot excepted; a broken runtime falls back."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.device.workshop import SRC, until
from tests.end_to_end.test_update import World, doomed, make_world

pytestmark = pytest.mark.end_to_end

CHANGED = {
    "device/updater/telling.py": ('detail = f"runs {', 'detail = f"mended, runs {'),
    "device/boot/choosing.py": (
        'journal.write("boot", "starting"',
        'journal.write("boot", "usurped"',
    ),
    "device/boot/_waiting.py": ("REBOOT = 75", "REBOOT = 76"),
}
"""A mended module, and another boot, which would log another word and know another status."""

BROKEN: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "supervisor": {"device/supervisor/_main.py": ('"""', 'raise SystemExit(9)\n"""')},
    "updater": {"device/updater/engine.py": ('"""', 'import no_such_module\n"""')},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from make_world(tmp_path_factory.mktemp("runtime"))


def build_with(
    world: World,
    version: str,
    changes: Mapping[str, tuple[str, str]],
    *,
    product: Path | None = None,
) -> None:
    """A release by a limpet whose own modules were changed, as its next version would be."""
    base = world.home.root.parent
    other = base / f"limpet-{version}"
    shutil.copytree(SRC, other / "limpet", ignore=shutil.ignore_patterns("__pycache__"))
    for name, (old, new) in changes.items():
        file = other / "limpet" / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))
    command = [sys.executable, "-m", "limpet", "release", "build", str(product or world.product)]
    command += ["--trust", str(world.home.trust), "--version", version]
    command += ["--minimum-days", "0", "--largest-step", "100", "--without-packages"]
    command += ["--out", str(base / f"release-{version}")]
    environment = {**os.environ, "PYTHONPATH": str(other)}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=240)


@pytest.mark.parametrize("part", ["supervisor", pytest.param("updater", marks=pytest.mark.slow)])
def test_a_broken_runtime_falls_back_to_the_one_before(world: World, part: str) -> None:
    version = {"supervisor": "1.1.0", "updater": "1.2.0"}[part]
    product = shutil.copytree(world.product, world.home.root.parent / f"doomed-{part}")
    build_with(world, version, BROKEN[part], product=doomed(product))
    world.offer(world.publish(version))
    until(
        lambda: world.device.has_logged("update-fell-back", version),
        "no fall-back",
        world.device,
    )
    assert world.running_version() == "1.0.0"
    assert world.device.has_logged("update-fell-back", "not confirmed within its tries")


def test_a_changed_runtime_runs_and_another_boot_that_it_carries_does_not(world: World) -> None:
    boot, command = world.device.boot.pid, _command_of(world.device.boot.pid)
    build_with(world, "1.3.0", CHANGED)
    world.offer(world.publish("1.3.0"))
    until(
        lambda: (
            world.device.has_logged("running", "mended, runs 1.3.0")
            or world.reported("mended, runs 1.3.0")
        ),
        "the new runtime does not run",
        world.device,
    )
    until(lambda: world.running_version() == "1.3.0", "it is not confirmed", world.device)
    slot = world.device.root / "slots" / world.device.state.good / "runtime" / "limpet"
    assert "usurped" in (slot / "device" / "boot" / "choosing.py").read_text(), "it carries one"
    assert not world.device.has_logged("usurped")
    assert world.device.boot.pid == boot
    assert _command_of(boot) == command
    assert str(slot) not in command
    assert str(SRC) in command, "boot is what the machine has installed"


def _command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
