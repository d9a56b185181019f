"""Forged, damaged and misdirected updates: a reason in log, report and status, and nothing else."""

import hashlib
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import (
    MODEL,
    NOW,
    RELEASES,
    ROLLOUT,
    RepositorySimulator,
    make_manifest,
)
from tuf.api.metadata import MetaFile

from limpet.wire.codec import encode_json
from limpet.wire.release import Bounds
from limpet.wire.report import ReportKind
from limpet.wire.rollout import PlannedRelease, PlanState, device_tag


def offer_tampered(repository: RepositorySimulator, work: Path) -> None:
    repository.offer(repository.add_release(work))
    [path] = [path for path in repository.files if path.startswith("images/")]
    data = bytearray(repository.files[path])
    data[len(data) // 2] ^= 1
    repository.files[path] = bytes(data)


def test_a_tampered_image_is_refused(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    offer_tampered(repository, work)
    bench.assert_refused(bench.check(), "tampered-image")


def test_every_attempt_that_was_reported_gets_its_result(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    offer_tampered(repository, work)
    bench.check()
    bench.check()
    kinds = [report.kind for report in bench.reports()]
    assert kinds == [ReportKind.ATTEMPT, ReportKind.REFUSED] * 2


def test_an_attempt_that_is_halted_again_and_again_gets_its_result_each_time(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    release = repository.add_release(work)

    def halt(path: str) -> None:
        if path.startswith("images/"):
            repository.hooks.clear()
            repository.offer(release, state=PlanState.HALTED)

    for _ in range(2):
        repository.offer(release)
        repository.hooks.append(halt)
        bench.check()
        shutil.rmtree(
            bench.root / "updater" / "staging" / "b"
        )  # so that the next check downloads again
    kinds = [report.kind for report in bench.reports()]
    assert kinds == [ReportKind.ATTEMPT, ReportKind.HELD] * 2


def test_a_release_that_the_release_keys_did_not_sign_is_refused(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    """The online server is stolen: its thief plans a manifest of their own."""
    manifest = encode_json(make_manifest(repository, work, "6.6.6"))
    planned = PlannedRelease(version="6.6.6", manifest_sha256=hashlib.sha256(manifest).hexdigest())
    repository.add_target(ROLLOUT, f"rollout/{MODEL}/6.6.6.json", manifest)
    repository.offer(planned)
    bench.assert_refused(bench.check(), "unsigned-release")


def test_release_metadata_signed_by_stolen_online_keys_is_refused(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    role = repository.roles[RELEASES]
    name = f"metadata/{role.version}.{RELEASES}.json"
    repository.files[name] = repository.sign(role, ROLLOUT, "timestamp", "snapshot")
    data = repository.files[name]
    repository.snapshot.meta[f"{RELEASES}.json"] = MetaFile.from_data(
        role.version, data, ["sha256"]
    )
    resign(repository)
    bench.assert_refused(bench.check(), "bad-signature")


def resign(repository: RepositorySimulator) -> None:
    """Snapshot and timestamp again, as a thief of the online keys can."""
    repository.snapshot.version += 1
    data = repository.sign(repository.snapshot, "snapshot")
    version = repository.snapshot.version
    repository.files[f"metadata/{version}.snapshot.json"] = data
    repository.timestamp.snapshot_meta = MetaFile.from_data(version, data, ["sha256"])
    repository.timestamp.version += 1
    repository.files["metadata/timestamp.json"] = repository.sign(repository.timestamp, "timestamp")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": "toaster"}, "wrong-model"),
        ({"hardware_revisions": ("B7",)}, "wrong-hardware"),
        ({"security_counter": 0}, "rollback"),
        ({"minimum_version": "1.0.5"}, "minimum-version"),
    ],
)
def test_a_signed_release_that_is_not_for_this_device_is_refused(
    bench: Bench,
    repository: RepositorySimulator,
    work: Path,
    changes: dict[str, Any],
    reason: str,
) -> None:
    repository.offer(repository.add_release(work, **changes))
    bench.assert_refused(bench.check(), reason)


def test_an_older_version_is_refused(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work, "0.9.0"))
    bench.assert_refused(bench.check(), "rollback")


def test_a_plan_that_steps_over_the_signed_bound_is_refused(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    bounds = Bounds(not_before=NOW, minimum_duration_seconds=0, largest_step_ppm=250_000)
    repository.offer(repository.add_release(work, bounds=bounds), admitted_ppm=900_000)
    bench.assert_refused(bench.check(), "out-of-bounds")


def test_a_plan_that_rushes_runs_into_the_offline_ramp(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    """Stolen online keys admit everybody, and lie about the step before."""
    bounds = Bounds(
        not_before=NOW + timedelta(hours=1), minimum_duration_seconds=0, largest_step_ppm=10_000
    )
    release = repository.add_release(work, bounds=bounds)
    repository.offer(
        release, previous_ppm=995_000, named=(device_tag(release.manifest_sha256, bench.serial),)
    )
    assert bench.check().reason == "ramp"
    bench.assert_untouched()


def test_a_mix_of_old_and_new_metadata_is_refused(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    newest = repository.roles[ROLLOUT].version
    repository.files[f"metadata/{newest}.{ROLLOUT}.json"] = repository.files[
        f"metadata/{newest - 1}.{ROLLOUT}.json"
    ]
    bench.assert_refused(bench.check(), "bad-signature")


def test_endless_metadata_is_cut_off(bench: Bench, repository: RepositorySimulator) -> None:
    repository.files["metadata/timestamp.json"] = b" " * (1 << 20)
    bench.assert_refused(bench.check(), "too-large")


def test_damaged_metadata_is_refused(bench: Bench, repository: RepositorySimulator) -> None:
    repository.files["metadata/timestamp.json"] = b"\xff\x00 not json"
    bench.assert_refused(bench.check(), "malformed")


def test_the_root_of_trust_is_the_firmwares_whatever_the_cache_holds(
    bench: Bench, repository: RepositorySimulator
) -> None:
    bench.check()
    thief = RepositorySimulator()
    for file in (bench.root / "updater" / "metadata").rglob("*root.json"):
        if not file.is_symlink():
            file.write_bytes(thief.trusted_root)
    bench.source = thief
    bench.assert_refused(bench.check(), "bad-signature")
