"""A device that updates by a delta, and what it does when the delta is bad, lost or deadly."""

import errno
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import RepositorySimulator, make_manifest, unreachable

from limpet.device.updater.check import Outcome
from limpet.device.updater.source import FileRefused
from limpet.device.updater.way import MAX_FAILURES
from limpet.errors import Unavailable
from limpet.firmware.image import build_image
from limpet.firmware.tree import digest_tree
from limpet.release import OldRelease
from limpet.release._delta import delta_file, make_delta
from limpet.wire.release import Delta, Image, ReleaseManifest

WHERE = {"pread": "old_image", "scandir": "tree"}


@dataclass
class Offered:
    """A release of which a delta from the running tree lies in the repository."""

    repository: RepositorySimulator
    manifest: ReleaseManifest
    delta: Delta

    def fetched(self) -> list[str]:
        """The images and deltas that were asked for, in order, each once in a row."""
        found: list[str] = []
        for path in self.repository.asked:
            kind = path.split("/")[0]
            if kind in ("images", "deltas") and found[-1:] != [kind]:
                found.append(kind)
        return found

    def replace(self, data: bytes) -> None:
        self.repository.files[self.delta.path] = data


@pytest.fixture
def offered(bench: Bench, repository: RepositorySimulator, work: Path) -> Offered:
    return offer(bench, repository, work)


def offer(bench: Bench, repository: RepositorySimulator, work: Path, **changes: Any) -> Offered:
    running, new = bench.root / "slots" / "a", work / "tree-1.1.0"
    shutil.copytree(running, new)
    (new / "firmware.json").write_text(json.dumps({"version": "1.1.0", "longer": "than before"}))
    data = bytearray((new / "app" / "data.bin").read_bytes())
    data[5000:5000] = b"a few bytes more: all after them lies elsewhere"
    (new / "app" / "data.bin").write_bytes(bytes(data))
    image = build_image(new, work / "new.img")
    old = old_release(repository, running, work, image)
    made = make_delta(old, image, work / "new.img", lambda doing: None).delta
    assert made is not None
    repository.files[made.path] = delta_file(work, made).read_bytes()
    described = msgspec.structs.replace(made, **changes)
    release = repository.add_release(work, "1.1.0", deltas=(described,))
    repository.offer(release)
    repository.asked.clear()
    return Offered(repository, make_manifest(repository, work, "1.1.0"), described)


def old_release(
    repository: RepositorySimulator, running: Path, work: Path, image: Image
) -> OldRelease:
    base = build_image(running, work / "old.img")
    manifest = make_manifest(repository, work, "1.1.0", image=base)
    older = msgspec.structs.replace(manifest, version="1.0.0")
    return OldRelease(older, work / "old.img")


def staged(bench: Bench) -> str:
    return digest_tree(bench.root / "slots" / "b")


def events(bench: Bench, event: str) -> list[str]:
    return [detail for name, detail, _ in bench.logged if name == event]


def test_a_device_updates_by_the_delta_and_says_what_it_saved(
    bench: Bench, offered: Offered
) -> None:
    assert bench.check().outcome is Outcome.READY
    assert offered.fetched() == ["deltas"]
    assert staged(bench) == offered.manifest.image.tree_sha256
    assert offered.delta.size < offered.manifest.image.packed / 50
    (began,) = events(bench, "update-begins")
    assert (
        began == f"installing 1.1.0: delta from 1.0.0, {offered.delta.size} bytes instead of 1.6 MB"
    )
    assert not (bench.root / "updater" / "delta.json").exists()


def test_without_a_delta_from_what_runs_the_whole_image_comes(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    offered = offer(bench, repository, work, base_tree_sha256="0" * 64)
    assert bench.check().outcome is Outcome.READY
    assert offered.fetched() == ["images"]


@pytest.mark.parametrize("at", [20, -20])
def test_a_damaged_delta_is_tried_twice_and_then_the_image_comes(
    bench: Bench, offered: Offered, at: int
) -> None:
    data = bytearray(offered.repository.files[offered.delta.path])
    data[at] ^= 1
    offered.replace(bytes(data))
    assert bench.check().outcome is Outcome.READY
    assert offered.fetched() == ["deltas", "images"]
    assert staged(bench) == offered.manifest.image.tree_sha256
    assert [text.partition(":")[0] for text in events(bench, "delta-failed")] == [
        f"group 0, {failures} of {MAX_FAILURES}" for failures in (1, 2)
    ]


def test_a_delta_that_failed_for_good_is_not_tried_at_the_next_check(
    bench: Bench, offered: Offered
) -> None:
    offered.replace(bytes(offered.delta.size))
    offered.repository.chunk_hooks.append(only_deltas)
    assert bench.check().outcome is Outcome.UNAVAILABLE
    offered.repository.asked.clear()
    offered.repository.chunk_hooks.clear()
    assert bench.check().outcome is Outcome.READY
    assert offered.fetched() == ["images"]


def test_a_slot_that_changed_since_its_start_costs_bytes_and_nothing_else(
    bench: Bench, offered: Offered
) -> None:
    """What runs is read-only and was verified; should it change yet, the new tree is the signed
    one."""
    data = bench.root / "slots" / "a" / "app" / "data.bin"
    content = bytearray(data.read_bytes())
    content[100_000] ^= 1
    data.write_bytes(bytes(content))
    assert bench.check().outcome is Outcome.READY
    assert offered.fetched() == ["deltas", "images"]
    assert staged(bench) == offered.manifest.image.tree_sha256


@pytest.mark.parametrize("call", ["pread", "scandir"])
def test_a_slot_that_cannot_be_read_any_more_gets_the_image(
    bench: Bench, offered: Offered, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A bad sector is not waited for: it stays. The control is the first test."""
    real, slot = getattr(os, call), bench.root / "slots" / "a"

    def fail(which: Any, *more: Any) -> Any:
        path = Path(f"/proc/self/fd/{which}").readlink() if isinstance(which, int) else Path(which)
        if path.is_relative_to(slot):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(which, *more)

    monkeypatch.setattr(f"limpet.firmware.{WHERE[call]}.os.{call}", fail)
    assert bench.check().outcome is Outcome.READY
    assert offered.fetched()[-1] == "images"
    assert "input/output error" in events(bench, "delta-failed")[0].lower()
    assert staged(bench) == offered.manifest.image.tree_sha256


def test_a_slot_of_another_size_than_the_delta_says_gets_the_image(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    offered = offer(bench, repository, work, base_size=12)
    assert bench.check().outcome is Outcome.READY
    assert offered.fetched() == ["images"]
    assert "from 12 bytes" in events(bench, "delta-failed")[0]


def test_a_delta_that_is_gone_from_the_server_costs_one_request(
    bench: Bench, offered: Offered
) -> None:
    offered.repository.hooks.append(no_deltas)
    assert bench.check().outcome is Outcome.READY
    assert offered.fetched() == ["deltas", "images"]
    assert "404" in events(bench, "delta-left")[0]


@pytest.mark.parametrize(("reason", "cuts"), [("unreachable", 2), ("unavailable", 9)])
def test_a_cut_line_is_no_failure_of_the_delta(
    bench: Bench, offered: Offered, reason: str, cuts: int
) -> None:
    """Nor is the end of the process, however often; who cuts on is in test_cut_deltas.py."""

    def cut(path: str, offset: int) -> None:
        raise Unavailable("the line is cut", reason=reason)

    for _ in range(cuts):
        offered.repository.chunk_hooks[:] = [cut]
        assert bench.check().outcome is Outcome.UNAVAILABLE
    offered.repository.chunk_hooks.clear()
    offered.repository.asked.clear()
    assert bench.check().outcome is Outcome.READY
    assert offered.fetched() == ["deltas"]


def test_a_delta_that_ends_the_process_is_not_decoded_a_third_time(
    bench: Bench, offered: Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed process writes nothing any more: only what was written before counts."""
    tries = 0

    def die(*_: object, **__: object) -> None:
        nonlocal tries
        tries += 1
        raise SystemExit(9)

    with monkeypatch.context() as deadly:
        deadly.setattr("limpet.firmware.delta.SegmentReader.__init__", die)
        for _ in range(MAX_FAILURES):
            with pytest.raises(SystemExit):
                bench.check()
        offered.repository.asked.clear()
        assert bench.check().outcome is Outcome.READY
    assert tries == MAX_FAILURES
    assert offered.fetched() == ["images"]


def test_a_damaged_count_of_failures_is_begun_anew(bench: Bench, offered: Offered) -> None:
    (bench.root / "updater" / "delta.json").write_bytes(os.urandom(100))
    assert bench.check().outcome is Outcome.READY
    assert offered.fetched() == ["deltas"]


def no_deltas(path: str) -> None:
    if path.startswith("deltas/"):
        raise FileRefused(path, 404)


def only_deltas(path: str, offset: int) -> None:
    if not path.startswith("deltas/"):
        unreachable(path)


def test_the_file_is_what_its_hash_says(offered: Offered) -> None:
    """So that a mirror cannot mix deltas up, and a cache may keep them for ever."""
    data = offered.repository.files[offered.delta.path]
    assert offered.delta.path == f"deltas/{hashlib.sha256(data).hexdigest()}.delta"
