"""An app that was taken over keeps a small disk full, block and name, all the time: the next update
comes all the same, and with it the app's end."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.device.workshop import until
from tests.end_to_end.test_migrations import STATE
from tests.end_to_end.test_update import World, make_world
from tests.needs import needs

from limpet.device.supervisor._kept import MAX_ENTRIES

pytestmark = [
    pytest.mark.end_to_end,
    needs(
        *("mkfs.ext4", "mount"),
        package="e2fsprogs",
        untried="an app that keeps a small disk full",
        root="a disk is mounted",
    ),
]

DISK_MIB, DISK_NAMES = 96, 30_000
STEP = "    def control(self) -> None:\n"
GREED = """
    def greed(self) -> None:
        import os, time

        while True:
            for block in (0, 1 << 20, 4096):
                try:
                    while True:
                        name = self._device.data / os.urandom(8).hex()
                        with name.open("wb", buffering=0) as file:
                            for _ in range(60 if block else 0):
                                file.write(bytes(block))
                except OSError:
                    pass
            time.sleep(0.01)

    def control(self) -> None:
        import threading

        if (self._device.data / "greedy").exists() and not hasattr(self, "taken"):
            self.taken = threading.Thread(target=self.greed, daemon=True)
            self.taken.start()
"""


def greedy(product: Path, place: Path) -> Path:
    """The product, whose code fills the disk from when the file `greedy` is there."""
    shutil.copytree(product, place)
    regulator = place / "app" / "thermostat" / "regulator.py"
    text = regulator.read_text()
    assert STEP in text
    assert STATE in text
    text = text.replace(STATE, f"self._device = device\n        {STATE}")
    regulator.write_text(text.replace(STEP, GREED))
    return place


@contextmanager
def on_a_small_disk(root: Path) -> Iterator[None]:
    """The device at `root`, moved to an ext4 of its own."""
    image = root.with_name("disk.img")
    with image.open("wb") as file:
        file.truncate(DISK_MIB << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-N", str(DISK_NAMES), str(image)], check=True)
    moved = root.with_name("moved")
    root.rename(moved)
    root.mkdir()
    subprocess.run(["mount", "-o", "loop", str(image), str(root)], check=True)
    try:
        shutil.rmtree(root / "lost+found")
        (root / "stderr").symlink_to(image.with_name("stderr"))  # of a service: not on its disk
        subprocess.run(["cp", "-a", f"{moved}/.", str(root)], check=True)
        yield
    finally:
        subprocess.run(["umount", str(root)], check=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from make_world(tmp_path_factory.mktemp("greed"), change=greedy, around=on_a_small_disk)


def test_an_app_that_fills_the_disk_all_the_time_does_not_keep_the_update_from_coming(
    world: World,
) -> None:
    device = world.device
    until(lambda: device.has_logged("enrolled"), "it has no certificate", device)
    (device.root / "app" / "greedy").touch()

    full = ("update-check-failed", "disk-full: ")
    until(lambda: device.has_logged(*full), "the disk is not full", device)
    until(lambda: len(os.listdir(device.root / "app")) > MAX_ENTRIES, "few names", device)
    world.offer(world.release("1.1.0", product=world.pristine))
    until(lambda: device.has_logged("update-confirmed", "1.1.0"), "no update", device)
    assert world.running_version() == "1.1.0"
    assert device.has_logged("app-rests")
    assert device.has_logged("state-not-kept", f"more than {MAX_ENTRIES} names")
    assert device.has_logged("update-confirmed", "no way back for the app's state")
    until(lambda: world.reported("no way back for the app's state"), "not reported", device)
