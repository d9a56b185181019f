"""A full disk, a quota, a read-only or failing disk at each system call of a check.

Whatever call fails: a named reason, no half-done slot, the old firmware starts; and once the disk
is well again the same device installs the release.
"""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.device.updater.bench import Bench
from tests.device.updater.failing_disk import FailingDisk, failing
from tests.device.updater.simulator import RepositorySimulator

from limpet.device.updater.check import Outcome
from limpet.errors import Unavailable
from limpet.firmware.image import build_image
from limpet.firmware.slots import BOOT_FILE, decide_start, load_boot_state
from limpet.firmware.tree import digest_tree

CODES = {
    errno.ENOSPC: "disk-full",
    errno.EDQUOT: "disk-full",
    errno.EROFS: "read-only",
    errno.EACCES: "not-permitted",
    errno.EIO: "storage",
}
NEVER = 1 << 30


class Disk:
    """One vendor, and a device anew for every failing call."""

    def __init__(self, place: Path) -> None:
        self.place, self.count = place, 0
        self.repository = RepositorySimulator()
        tree = place / "tree"
        (tree / "app").mkdir(parents=True)
        (tree / "firmware.json").write_text("{}")
        (tree / "app" / "main.py").write_text("VERSION = '1.1.0'\n" * 200)
        (place / "work").mkdir()
        self.tree = digest_tree(tree)
        image = build_image(tree, place / "image")
        self.repository.files[image.path] = (place / "image").read_bytes()
        self.repository.offer(self.repository.add_release(place / "work", image=image))

    def device(self) -> Bench:
        self.count += 1
        return Bench(self.place / f"device-{self.count}", self.repository)

    def calls(self, code: int) -> list[str]:
        """What a check does on a sound disk."""
        bench = self.device()
        with failing(FailingDisk(bench.root, code, NEVER)) as disk:
            assert bench.check().outcome is Outcome.READY
        return disk.calls


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    return Disk(tmp_path_factory.mktemp("disk"))


def meet(disk: Disk, code: int, at: int, *, lasting: bool) -> str:
    """One check whose call number `at` fails; the reason that was given, or "" if none was."""
    bench = disk.device()
    with failing(FailingDisk(bench.root, code, at, lasting=lasting)) as broken:
        try:
            result = bench.check()
            said = result.reason
        except Unavailable as error:
            said = error.reason
    refused = [text for event, text, _ in bench.logged if event == "activation-refused"]
    if refused:
        said = refused[0].partition(":")[0]
    assert_sound(bench, disk)
    assert_goes_on(bench, disk, (broken.calls[at:][:1], said))
    return said


def assert_sound(bench: Bench, disk: Disk) -> None:
    """Slot a as it was; boot starts it, or a whole slot b on trial."""
    assert digest_tree(bench.root / "slots" / "a") == bench.tree_before
    choice = decide_start(load_boot_state(bench.root / "slots" / BOOT_FILE))
    if choice.slot == "b":
        assert choice.on_trial
        assert digest_tree(bench.root / "slots" / "b") == disk.tree


def assert_goes_on(bench: Bench, disk: Disk, why: object) -> None:
    """The disk is well: nothing was left that stands in the way."""
    state = load_boot_state(bench.root / "slots" / BOOT_FILE)
    if state.trial is None:
        assert bench.check().outcome is Outcome.READY, why
    bench.boot()
    assert (bench.slot, bench.version) == ("b", "1.1.0"), why
    assert digest_tree(bench.root / "slots" / "b") == disk.tree


@pytest.mark.parametrize("code", CODES, ids=errno.errorcode.get)
def test_any_failing_call_leaves_a_sound_device_and_a_named_reason(disk: Disk, code: int) -> None:
    """Every sixteenth call here, others for each kind of failure; all of them below, slowly."""
    calls = disk.calls(code)
    assert len(calls) > 40
    first = 3 * list(CODES).index(code)
    for at in range(first, len(calls), 16 if code == errno.ENOSPC else 32):
        for lasting in (False, True):
            said = meet(disk, code, at, lasting=lasting)
            assert said in (CODES[code], ""), (at, calls[at], said)
            if lasting:
                assert said == CODES[code], (at, calls[at])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_disk_that_is_full_from_any_call_on_leaves_a_sound_device(disk: Disk) -> None:
    calls = disk.calls(errno.ENOSPC)
    for at in range(len(calls)):
        assert meet(disk, errno.ENOSPC, at, lasting=True) == "disk-full", (at, calls[at])


def test_the_sound_disk_of_these_tests_meets_every_kind_of_call(disk: Disk) -> None:
    assert {"open", "write", "fsync", "mkdir", "symlink"} <= set(disk.calls(errno.ENOSPC))
    assert {"replace", "rename", "unlink"} <= set(disk.calls(errno.EROFS))


REALLY_FULL = """
import json, os, sys
from pathlib import Path
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import RepositorySimulator

place, work, said = Path(sys.argv[1]), Path(sys.argv[2]), []
repository = RepositorySimulator()
repository.offer(repository.add_release(work))
bench = Bench(place / "device", repository)
fill = os.open(place / "fill", os.O_CREAT | os.O_RDWR)
try:
    while os.write(fill, bytes(4096)):
        pass
except OSError:
    full = os.lseek(fill, 0, os.SEEK_END)
for free in (0, 8 << 10, 64 << 10, 512 << 10, 2 << 20, full):
    os.ftruncate(fill, full - free)
    try:
        result = bench.check()
        said.append(result.reason or result.outcome.value)
    except Exception as error:
        said.append(getattr(error, "reason", repr(error)))
    if said[-1] != "ready":
        bench.boot()
        assert bench.slot == "a"
bench.boot()
print(json.dumps({"said": said, "slot": bench.slot, "version": bench.version}))
"""


def test_a_file_system_that_is_really_full_is_named_and_waited_for(tmp_path: Path) -> None:
    """Once for real: a small tmpfs in a mount namespace of its own, full to the last block."""
    work, small = tmp_path / "work", tmp_path / "small"
    work.mkdir()
    small.mkdir()
    script = tmp_path / "full.py"
    script.write_text(REALLY_FULL)
    root = Path(__file__).parents[3]
    inner = 'mount -t tmpfs -o size=16m none "$1" && exec "$2" "$3" "$1" "$4"'
    here = ["unshare", "--mount", "--map-root-user", "sh", "-c", inner, "-"]
    done = subprocess.run(
        [*here, str(small), sys.executable, str(script), str(work)],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["said"][0] == "disk-full"
    assert set(told["said"][:-1]) <= {"disk-full", "low-disk"}
    assert told["said"][-1] == "ready"
    assert (told["slot"], told["version"]) == ("b", "1.1.0")
