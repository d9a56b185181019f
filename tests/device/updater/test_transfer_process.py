"""A process that fetches an image: its memory, what it leaves on the disk, and its sudden death."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from tests.device.updater.mirror import Asked, Mirror, mirror_of, send_part, serve_range
from tests.device.workshop import until
from tests.https.conftest import Identity, identity

from limpet.device.updater.ledger import LEASE_BYTES, load_ledger
from limpet.firmware.image import build_image
from limpet.firmware.tree import digest_tree
from limpet.wire.release import Image

__all__ = ["identity"]

PROGRAM = Path(__file__).with_name("fetching.py")
MIB = 1 << 20
IMAGE_MIB = 64
PART_MIB = 8  # of it, that comes before each death
MOST_KIB = 12 << 10
"""What 64 MiB may add to a process's memory: a group twice, its content, chunks; no image."""


def build_large(place: Path, size: int) -> Image:
    """An image of one large file that does not compress, as `image.img`."""
    tree = place / "tree"
    tree.mkdir()
    source = random.Random(7)  # noqa: S311 (content of a file)
    with (tree / "system.bin").open("wb") as file:
        for _ in range(size // MIB):
            file.write(source.randbytes(MIB))
    return build_image(tree, place / "image.img")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Image]:
    place = tmp_path_factory.mktemp("image")
    return place, build_large(place, IMAGE_MIB * MIB)


@pytest.fixture
def place(built: tuple[Path, Image], identity: Identity, tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    (tmp_path / "image.json").write_bytes(msgspec.json.encode(built[1]))
    (tmp_path / "roots.pem").write_bytes(identity.roots)
    return tmp_path


@pytest.fixture
def mirror(built: tuple[Path, Image], identity: Identity) -> Iterator[Mirror]:
    with mirror_of((built[0] / "image.img").read_bytes(), identity) as running:
        yield running


def _start(mirror: Mirror, place: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), str(mirror.port), str(place)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _beside(own: Path) -> int:
    """Bytes of all files below `own` that are none of the new tree."""
    total = 0
    for directory, _, names in os.walk(own):
        for name in names:
            if name != "system.bin":
                with suppress(OSError):  # it vanishes meanwhile
                    total += (Path(directory) / name).stat().st_size
    return total


def _has_kept(own: Path) -> bool:
    """Whether a group is durable, by the journal."""
    with suppress(OSError, ValueError):
        return int(json.loads((own / "install.json").read_bytes())["groups"]) > 0
    return False


def test_a_whole_image_is_neither_in_memory_nor_spooled(
    built: tuple[Path, Image], mirror: Mirror, place: Path
) -> None:
    """Whatever is on the disk is a verified part of the new tree, or a small record."""
    process, excess = _start(mirror, place), 0
    open_elsewhere: set[str] = set()
    while process.poll() is None:
        excess = max(excess, _beside(place / "own"))
        open_elsewhere |= _deleted_files(process.pid)
        time.sleep(0.02)
    said, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    told = json.loads(said)
    assert told["fetched"] == built[1].packed
    assert told["requests"] == 1
    assert told["after"] - told["before"] < MOST_KIB, told
    assert excess < 3 * MIB, "only a group, and the journal"
    assert not open_elsewhere, "no file without a name holds it either"
    assert digest_tree(place / "own" / "b") == built[1].tree_sha256


def _deleted_files(pid: int) -> set[str]:
    found = set()
    try:
        for entry in (Path("/proc") / str(pid) / "fd").iterdir():
            target = os.readlink(entry)
            if target.endswith(" (deleted)") and entry.stat().st_size > MIB:
                found.add(target)
    except OSError:
        pass
    return found


def test_a_process_that_is_killed_again_and_again_goes_on_at_the_last_durable_group(
    built: tuple[Path, Image], mirror: Mirror, place: Path
) -> None:
    image, kills = built[1], 6
    ends = [0]
    for group in image.groups:
        ends.append(ends[-1] + group.packed)
    source = random.Random(11)  # noqa: S311

    def steady(mirror: Mirror, asked: Asked) -> None:
        """About 40 MiB a second, and no more than a part: a death comes in the middle."""
        send_part(mirror, asked, 0)
        for at in range(asked.first, min(asked.first + PART_MIB * MIB, asked.end), 256 << 10):
            asked.tls.sendall(mirror.data[at : min(at + (256 << 10), asked.end)])
            time.sleep(0.006)
        asked.tls.recv(1)  # until it is dead

    mirror.behaviour = steady
    for number in range(kills):
        process = _start(mirror, place)
        while len(mirror.asked) <= number and process.poll() is None:
            time.sleep(0.01)
        if number == 0:  # one that kept something at least; the others as it comes
            until(lambda: _has_kept(place / "own"), "nothing was kept")
        time.sleep(source.random() * 0.2)
        process.kill()
        process.communicate()
    mirror.behaviour = serve_range
    process = _start(mirror, place)
    said, errors = process.communicate(timeout=150)
    assert process.returncode == 0, errors
    starts = mirror.starts
    assert len(starts) == kills + 1
    assert all(start in ends for start in starts), "each begins where a group ended"
    assert starts == sorted(starts)
    assert starts[-1] > 0, "something was kept"
    assert json.loads(said)["fetched"] == image.packed - starts[-1]
    assert digest_tree(place / "own" / "b") == image.tree_sha256
    used = load_ledger(place / "own" / "transfers.json")[0]
    assert image.packed <= used.bytes <= image.packed + kills * 2 * LEASE_BYTES
