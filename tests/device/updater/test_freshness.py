"""Old, frozen and replayed metadata: what the device has seen, it never goes behind."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from securesystemslib.signer import CryptoSigner
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import (
    MODEL,
    NOW,
    ROLLOUT,
    RepositorySimulator,
)
from tests.device.updater.thief import rotate

from limpet.device.updater.check import Outcome
from limpet.errors import Rejected, Unavailable
from limpet.wire.release import manifest_path
from limpet.wire.rollout import PlanState


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


def test_a_missing_floor_is_told_where_an_offer_was_seen_and_nowhere_else(
    bench: Bench, repository: RepositorySimulator
) -> None:
    assert bench.check().outcome is Outcome.NOTHING
    assert not any("floor" in event for event, _, _ in bench.logged), "a new device has none"
    (bench.root / "updater" / "floor.json").unlink()
    assert bench.check().outcome is Outcome.NOTHING
    ((event, detail),) = [(event, detail) for event, detail, _ in bench.logged if "floor" in event]
    assert event == "floor-damaged"
    assert "missing" in detail
    assert (bench.root / "updater" / "floor.json").is_file()


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        ("metadata/{snapshot}.snapshot.json", "snapshot"),
        ("metadata/{targets}.targets.json", "targets"),
        ("metadata/timestamp.json", "timestamp"),
        ("targets/rollout/thermostat/", "plan.json"),
    ],
)
def test_a_refusal_of_metadata_names_the_file_at_which_it_was_noticed(
    bench: Bench, repository: RepositorySimulator, spoil: str, named: str
) -> None:
    path = spoil.format(snapshot=repository.snapshot.version, targets=repository.targets.version)
    (file,) = [name for name in repository.files if name.startswith(path)]
    repository.files[file] = repository.files[file][:-1] + b" "
    result = bench.check()
    assert result.outcome is Outcome.REFUSED
    assert named in result.detail


def test_new_snapshot_keys_alone_do_not_lower_what_offline_keys_signed(
    bench: Bench, repository: RepositorySimulator
) -> None:
    """TUF forgets all versions below a snapshot whose keys were replaced (1.0.33, 5.3.11). A device
    does not: whoever holds the new online keys could bring an old delegation back with them."""
    for _ in range(5):
        repository.publish()
    assert bench.check().outcome is Outcome.NOTHING
    repository.root.revoke_key(repository.keys["snapshot"].public_key.keyid, "snapshot")
    repository.keys["snapshot"] = CryptoSigner.generate_ed25519()
    repository.root.add_key(repository.keys["snapshot"].public_key, "snapshot")
    repository.root.version += 1
    repository.publish_root()
    repository.targets.version = 1
    repository.publish()
    bench.assert_refused(bench.check(), "rollback")
    repository.root.revoke_key(repository.keys["targets"].public_key.keyid, "targets")
    repository.keys["targets"] = CryptoSigner.generate_ed25519()
    repository.root.add_key(repository.keys["targets"].public_key, "targets")
    repository.root.version += 1
    repository.publish_root()
    repository.publish()
    assert bench.check().outcome is Outcome.NOTHING, "the control: its own keys were replaced"


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


def test_a_device_that_lay_in_a_drawer_gets_through_a_hundred_new_roots(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    for _ in range(100):
        repository.root.version += 1
        repository.publish_root()
    rotate(repository, "timestamp", "snapshot")  # the last one names keys that no earlier one knew
    repository.offer(repository.add_release(work))
    assert bench.check().outcome is Outcome.READY
