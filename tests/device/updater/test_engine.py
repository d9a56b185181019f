"""The updater against a vendor: what it installs, what it holds, what it refuses and tells."""

import hashlib
import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from securesystemslib.signer import CryptoSigner
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import (
    MODEL,
    NOW,
    RELEASES,
    ROLLOUT,
    RepositorySimulator,
    make_manifest,
    unreachable,
)
from tuf.api.metadata import MetaFile

from limpet.device.link import messages as m
from limpet.device.updater.check import Outcome
from limpet.device.updater.engine import Engine
from limpet.errors import Rejected, Unavailable
from limpet.firmware.slots import BOOT_FILE, load_boot_state
from limpet.firmware.tree import digest_tree
from limpet.wire.codec import encode_json
from limpet.wire.release import Bounds, manifest_path
from limpet.wire.report import ReportKind
from limpet.wire.rollout import PlannedRelease, PlanState

HEALTHY = m.Health(healthy=True)
SICK = m.Health(healthy=False, reason="the sensor reads 300 degrees")


@pytest.fixture
def repository() -> RepositorySimulator:
    return RepositorySimulator()


@pytest.fixture
def bench(tmp_path: Path, repository: RepositorySimulator) -> Bench:
    return Bench(tmp_path / "device", repository)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


# --- the good way


def test_nothing_is_offered_and_the_device_says_what_it_runs(bench: Bench) -> None:
    assert bench.check().outcome is Outcome.NOTHING
    assert [report.kind for report in bench.reports()] == [ReportKind.RUNNING]


def test_an_offered_release_is_written_tried_confirmed_and_reported(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    release = repository.add_release(work, security_counter=3)
    repository.offer(release)
    assert bench.check().outcome is Outcome.READY
    assert digest_tree(bench.root / "slots" / "b") == digest_tree(work / "tree-1.1.0")
    bench.boot()
    assert (bench.slot, bench.version) == ("b", "1.1.0")
    bench.judge(HEALTHY)
    state = load_boot_state(bench.root / "slots" / BOOT_FILE)
    assert (state.good, state.trial, state.security_counter) == ("b", None, 3)
    kinds = [report.kind for report in bench.reports()]
    assert kinds == [ReportKind.ATTEMPT, ReportKind.INSTALLED, ReportKind.CONFIRMED]
    assert bench.reports()[-1].manifest_sha256 == release.manifest_sha256
    assert bench.check().outcome is Outcome.NOTHING


def test_reports_reach_the_vendor_in_order_once_there_is_a_certificate(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    bench.check()
    waiting = [encode_json(report) for report in bench.reports()]
    bench.certificate = True
    bench.run(lambda engine: engine.flush())
    assert bench.delivered == waiting
    assert bench.reports() == []


def test_an_unhealthy_release_falls_back_is_reported_and_not_tried_again(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    bench.check()
    bench.boot()
    bench.judge(HEALTHY, SICK)
    bench.boot()
    assert (bench.slot, bench.version) == ("a", "1.0.0")
    result = bench.check()
    assert (result.outcome, result.reason) == (Outcome.HELD, "failed-before")
    [fell_back] = bench.told(ReportKind.FELL_BACK)
    assert "sensor reads 300 degrees" in fell_back.detail
    assert bench.told(ReportKind.CONFIRMED) == []


def test_a_release_that_never_answers_falls_back_by_boot_and_is_reported(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    bench.check()
    for _ in range(3):  # both tries end without a verdict, then boot falls back
        bench.boot()
    assert bench.slot == "a"
    assert bench.check().reason == "failed-before"
    assert len(bench.told(ReportKind.FELL_BACK)) == 1


def test_a_release_that_cannot_reach_the_vendor_is_tried_again_a_bounded_number_of_times(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    for attempt in range(3):
        assert bench.check().outcome is Outcome.READY, attempt
        bench.boot()
        repository.hooks.append(unreachable)
        bench.judge(HEALTHY)
        repository.hooks.clear()
        bench.boot()
        assert bench.slot == "a"
    assert bench.check().reason == "failed-before"


# --- holds


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        ({"admitted_ppm": 0}, "phase-in"),
        ({"state": PlanState.PAUSED}, "paused"),
        ({"state": PlanState.HALTED}, "halted"),
    ],
)
def test_a_plan_that_holds_is_obeyed_and_the_owner_sees_why(
    bench: Bench,
    repository: RepositorySimulator,
    work: Path,
    plan: dict[str, Any],
    reason: str,
) -> None:
    repository.offer(repository.add_release(work), **plan)
    status = bench.status_after_check()
    assert (status.state, status.available) == ("held", "1.1.0")
    assert status.reason.startswith(f"{reason}: ")
    assert [report.reason for report in bench.told(ReportKind.HELD)] == [reason]
    bench.check()
    assert len(bench.told(ReportKind.HELD)) == 1, "told once for each release and reason"
    bench.assert_untouched()


def test_automatic_off_holds_until_the_owner_agrees(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work, interface_version=2))

    async def owner(engine: Engine) -> list[str]:
        engine.set_policy(m.UpdatePolicy(automatic=False))
        reasons = [(await engine.check()).reason]
        engine.consent()
        reasons.append((await engine.check()).outcome.value)
        return reasons

    assert bench.run(owner) == ["interface-change", "ready"]


def test_consent_without_a_held_release_is_refused(bench: Bench) -> None:
    async def owner(engine: Engine) -> None:
        await engine.check()
        engine.consent()

    with pytest.raises(Rejected) as refused:
        bench.run(owner)
    assert refused.value.reason == "nothing-held"


def test_consent_is_for_the_release_that_was_held_and_no_other(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work, "1.1.0"))

    async def owner(engine: Engine) -> str:
        engine.set_policy(m.UpdatePolicy(automatic=False))
        await engine.check()
        engine.consent()
        repository.offer(repository.add_release(work, "1.2.0"))
        return (await engine.check()).reason

    assert bench.run(owner) == "automatic-off"


def test_consent_is_spent_by_one_installation(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))

    async def owner(engine: Engine) -> list[str]:
        engine.set_policy(m.UpdatePolicy(automatic=False))
        found = [(await engine.check()).outcome.value]
        engine.consent()
        found += [(await engine.check()).outcome.value for _ in range(2)]
        return found

    assert bench.run(owner) == ["held", "ready", "held"]


def test_the_policy_survives_a_restart_and_a_bad_zone_is_refused(bench: Bench) -> None:
    policy = m.UpdatePolicy(automatic=False, window=m.Window(start_minute=120, end_minute=300))

    async def set_it(engine: Engine) -> None:
        engine.set_policy(policy)
        with pytest.raises(Rejected) as refused:
            engine.set_policy(m.UpdatePolicy(window=m.Window(zone="Mars/Olympus")))
        assert refused.value.reason == "unknown-zone"

    async def read_it(engine: Engine) -> m.UpdatePolicy:
        return engine.policy

    bench.run(set_it)
    assert bench.run(read_it) == policy


def test_a_halt_during_the_download_stops_the_activation(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    release = repository.add_release(work)
    repository.offer(release)

    def halt(path: str) -> None:
        if path.startswith("images/"):
            repository.hooks.clear()
            repository.offer(release, state=PlanState.HALTED)

    repository.hooks.append(halt)
    result = bench.check()
    assert (result.outcome, result.reason) == (Outcome.HELD, "halted")
    bench.assert_untouched()


# --- refusals: each is a reason in the log, the report and the status, and nothing else happens


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
        shutil.rmtree(bench.root / "updater" / "staging" / "b")  # so that the next check downloads again
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
    repository.offer(release, previous_ppm=995_000, canaries=(bench.serial,))
    assert bench.check().reason == "ramp"
    bench.assert_untouched()


def test_a_withdrawn_release_stays_refused_when_the_withdrawal_is_replayed_away(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    release = repository.add_release(work)
    repository.offer(release, state=PlanState.PAUSED, withdrawn=(release.manifest_sha256,))
    assert bench.check().reason == "withdrawn"
    repository.offer(release)  # stolen online keys: the list is empty again
    result = bench.check()
    bench.assert_refused(result, "withdrawn")


def test_expired_metadata_is_refused_as_a_freeze(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    bench.wall = NOW + timedelta(days=2)
    bench.assert_refused(bench.check(), "expired-metadata")


def test_a_clock_in_1970_does_not_make_expired_metadata_fresh(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    """The time floor: built_at of the firmware, then whatever offline keys signed."""
    bench.wall = datetime.fromtimestamp(0, NOW.tzinfo)
    old = RepositorySimulator(NOW - timedelta(days=400))
    old_bench = Bench(bench.root.with_name("other"), old, wall=bench.wall)
    old.offer(old.add_release(work))
    old_bench.assert_refused(old_bench.check(), "expired-metadata")
    assert bench.check().outcome is Outcome.NOTHING, "and a wrong clock never stops a check"


def test_older_metadata_is_refused_even_when_the_cache_was_lost(
    bench: Bench, repository: RepositorySimulator
) -> None:
    """A power cut can empty python-tuf's cache, which then believes any old timestamp."""
    old = dict(repository.files)
    repository.publish()
    assert bench.check().outcome is Outcome.NOTHING
    for file in (bench.root / "updater" / "metadata").rglob("*.json"):
        if file.is_file() and not file.is_symlink():
            file.write_bytes(b"")
    repository.files = old
    bench.assert_refused(bench.check(), "rollback")


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


def test_replaced_keys_reset_the_floor_of_their_role(
    bench: Bench, repository: RepositorySimulator
) -> None:
    """Recovery from a fast-forward: the thief of the online keys used huge versions."""
    repository.timestamp.version = repository.snapshot.version = 1_000_000
    repository.publish()
    bench.check()
    for name in ("timestamp", "snapshot"):
        repository.root.revoke_key(repository.keys[name].public_key.keyid, name)
        repository.keys[name] = CryptoSigner.generate_ed25519()
        repository.root.add_key(repository.keys[name].public_key, name)
    repository.root.version += 1
    repository.publish_root()
    repository.timestamp.version = repository.snapshot.version = 10
    repository.publish()
    assert bench.check().outcome is Outcome.NOTHING


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


# --- cuts, retries, damage


def test_an_unreachable_vendor_is_no_refusal_and_keeps_everything(
    bench: Bench, repository: RepositorySimulator
) -> None:
    repository.hooks.append(unreachable)
    assert bench.check().outcome is Outcome.UNAVAILABLE
    assert bench.reports() == []


def test_the_time_floor_rises_with_what_the_release_keys_signed_and_no_other(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    built_at = NOW - timedelta(hours=5)
    bench.wall = NOW - timedelta(days=29)
    release = repository.add_release(work, built_at=built_at)
    repository.offer(release, admitted_ppm=0, issued_at=NOW + timedelta(days=9999))
    assert bench.check().reason == "phase-in"
    floor = json.loads((bench.root / "updater" / "floor.json").read_bytes())
    assert datetime.fromisoformat(floor["time"]) == built_at


def test_versions_are_remembered_even_when_the_plan_is_missing(
    bench: Bench, repository: RepositorySimulator
) -> None:
    repository.plan = None
    repository.roles[ROLLOUT].targets.clear()
    repository.publish()
    bench.assert_refused(bench.check(), "malformed")
    floor = json.loads((bench.root / "updater" / "floor.json").read_bytes())
    assert floor["roles"]["timestamp"]["version"] == repository.timestamp.version


def test_an_interrupted_download_goes_on_where_it_was(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    groups = 0

    def cut(path: str) -> None:
        nonlocal groups
        if path.startswith("images/"):
            groups += 1
            if groups == 2:
                raise Unavailable("the line broke")

    repository.hooks.append(cut)
    assert bench.check().outcome is Outcome.UNAVAILABLE
    assert bench.check().outcome is Outcome.READY
    assert groups == 3, "the first group was not fetched again"


@pytest.mark.parametrize("file", ["floor.json", "progress.json", "settings/policy.json"])
def test_a_damaged_record_is_told_and_does_not_stop_updates(
    bench: Bench, repository: RepositorySimulator, work: Path, file: str
) -> None:
    path = bench.root / "updater" / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"{\x00")
    repository.offer(repository.add_release(work))
    assert bench.check().outcome is Outcome.READY
    assert any("damaged" in event for event, _, _ in bench.logged)


def test_an_activation_that_boot_refuses_is_reported(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    bench.check()  # activates slot b; a second activation meets a running trial
    repository.offer(repository.add_release(work, "1.2.0"))
    bench.check()
    assert [report.reason for report in bench.told(ReportKind.REFUSED)] == ["slot-in-use"]


def test_the_signed_support_statement_goes_before_the_products_date(
    bench: Bench, repository: RepositorySimulator
) -> None:
    before = bench.status_after_check()
    assert before.support_until is not None
    assert before.support_until.year == 2031
    assert not before.support_over
    repository.state_support(NOW - timedelta(days=1), "support has ended")
    after = bench.status_after_check()
    assert (after.support_over, after.support_text) == (True, "support has ended")


def test_python_tuf_still_judges_expiry_by_the_attribute_that_is_set(
    repository: RepositorySimulator, tmp_path: Path
) -> None:
    """`_trusted_set.reference_time` is private to python-tuf: this test notices its end."""
    from limpet.device.updater.floor import Floor
    from limpet.device.updater.repository import Repository

    client = Repository(
        repository, model=MODEL, directory=tmp_path, trusted_root=repository.trusted_root
    )
    floor = Floor(time=NOW)
    client.look(floor, now=NOW, keep=lambda floor: None)
    with pytest.raises(Rejected) as refused:
        client.look(floor, now=NOW + timedelta(days=3000), keep=lambda floor: None)
    assert refused.value.reason == "expired-metadata"


def test_the_floor_is_durable_before_the_plan_is_believed(
    repository: RepositorySimulator, tmp_path: Path
) -> None:
    from limpet.device.updater.floor import Floor
    from limpet.device.updater.repository import Repository

    repository.plan = msgspec.structs.replace(repository.plan, withdrawn=("ab" * 32,))
    repository.publish()
    client = Repository(
        repository, model=MODEL, directory=tmp_path, trusted_root=repository.trusted_root
    )

    def full(floor: Floor) -> None:
        raise Unavailable("the disk is full")

    with pytest.raises(Unavailable):
        client.look(Floor(time=NOW), now=NOW, keep=full)
    assert not any(manifest_path(MODEL, "") in path for path in repository.asked)
