"""Who has a vote in a rollout, and what it weighs: over the real database."""

from pathlib import Path

import pytest
from tests.vendor.rollout_bench import BAD, GOOD, QUICK, SHARES, TEST, Bench
from tests.vendor.workshop import (
    MODEL,
    make_release,
)

from limpet.errors import Rejected
from limpet.vendor import rollout as rollouts
from limpet.vendor.home import Home
from limpet.vendor.store import Rings
from limpet.wire.report import ReportKind
from limpet.wire.rollout import MAX_NAMED, PlanState, device_tag


@pytest.mark.parametrize("kind", [ReportKind.ATTEMPT, ReportKind.INSTALLED])
def test_bricked_devices_do_not_stay_proceeding_while_a_bad_rollout_goes_on(
    bench: Bench, kind: ReportKind
) -> None:
    """hawkBit's issue 693: a device that never answers again stays in "proceeding" for ever, so no
    error threshold is reached. Here its time runs out, even while it says that it begins again."""
    bench.start()
    devices = bench.admitted(2)
    for _ in range(9):
        for device in devices:
            bench.report(device, ReportKind.ATTEMPT, kind)
        assert bench.tick(10).waiting_for == "results"
    for device in devices:
        bench.report(device, ReportKind.ATTEMPT, kind)
    status = bench.tick(10)
    assert (status.state, status.silent, status.pending) == (PlanState.HALTED, 2, 0)
    assert bench.plan().state is PlanState.HALTED


def test_a_device_takes_no_failure_back_by_beginning_again(bench: Bench) -> None:
    bench.start()
    [device] = bench.admitted(1)
    bench.report(device, *BAD, ReportKind.ATTEMPT)
    status = bench.tick(50)
    assert (status.failed, status.pending, status.waiting_for) == (1, 0, "evidence")


def test_a_device_that_failed_before_a_resume_counts_when_it_tries_again(bench: Bench) -> None:
    bench.start()
    [device] = bench.admitted(1)
    bench.report(device, *BAD)
    bench.clock.pass_seconds(1)
    assert rollouts.resume(bench.rollout).failed == 0
    bench.report(device, ReportKind.ATTEMPT)
    assert bench.tick(1).pending == 1
    bench.report(device, ReportKind.FELL_BACK)
    assert bench.tick(1).failed == 1


def test_a_device_that_failed_where_the_fleet_did_well_weighs_half(
    bench: Bench, home: Home, tmp_path: Path
) -> None:
    bench.start()
    [device] = bench.admitted(1)
    bench.report(device, *BAD)
    bench.clock.pass_seconds(1)
    rollouts.resume(bench.rollout)
    bench.tick(10)
    assert bench.tick(10).complete
    newer = bench.rollout.repository.add_release(make_release(home, tmp_path, "1.2.0"))
    bench.digest = newer.manifest_sha256
    rollouts.start(bench.rollout, "1.2.0", shares_ppm=[1_000_000], test=TEST, **QUICK)
    bench.report(device, *BAD)
    told = bench.tick().test
    assert told is not None
    assert told.evidence == pytest.approx(TEST.failure_weight / 2, abs=1e-4)


def test_rings_are_admitted_in_their_order_and_a_member_is_in_one_only(bench: Bench) -> None:
    with bench.rollout.database.transaction() as connection:
        known = Rings(connection, MODEL)
        for ring, serials in (("friends", ["TH-F1", "TH-BOTH"]), ("lab", ["TH-L1"])):
            known.put(ring)
            for serial in serials:
                known.join(serial, ring)
        known.put("lab", rank=0)
        known.join("TH-BOTH", "lab")
        assert [(r.name, r.serials) for r in known.all()] == [
            ("lab", ("TH-BOTH", "TH-L1")),
            ("friends", ("TH-F1",)),
        ]
    bench.see("TH-L1", "TH-F1")
    order = {"shares_ppm": SHARES, "test": TEST, "rings": ["lab", "friends"], **QUICK}
    rollouts.start(bench.rollout, "1.1.0", **order)  # type: ignore[arg-type]
    lab = {device_tag(bench.digest, serial) for serial in ("TH-BOTH", "TH-L1")}
    assert set(bench.plan().named) == lab
    bench.report("TH-L1", *GOOD)
    assert bench.tick(10).step == 2
    assert set(bench.plan().named) == lab | {device_tag(bench.digest, "TH-F1")}
    bench.report("TH-F1", *BAD)
    status = bench.tick()
    assert status.state is PlanState.HALTED
    assert status.history[-1].detail == "canary-failed: 1 of 1 in ring friends"


@pytest.mark.parametrize(
    ("ring", "reason"), [("nobody", "unknown-ring"), ("new", "unknown-device")]
)
def test_a_ring_that_would_be_waited_for_without_end_starts_no_rollout(
    bench: Bench, ring: str, reason: str
) -> None:
    with bench.rollout.database.transaction() as connection:
        Rings(connection, MODEL).put("new")
        Rings(connection, MODEL).join("TH-IN-ITS-BOX", "new")
    with pytest.raises(Rejected) as refused:
        rollouts.start(bench.rollout, "1.1.0", shares_ppm=SHARES, rings=[ring], **QUICK)
    assert refused.value.reason == reason
    assert rollouts.status(bench.rollout).version is None


def test_a_factory_hears_before_its_first_device_that_a_ring_is_full(bench: Bench) -> None:
    database = bench.rollout.database
    rollouts.make_room(database, MODEL, "lab", count=MAX_NAMED)
    assert [ring.name for ring in rollouts.list_rings(database, MODEL)] == ["lab"]
    rollouts.set_ring(database, MODEL, "lab", join=["TH-1"])
    with pytest.raises(Rejected) as refused:
        rollouts.make_room(database, MODEL, "lab", count=MAX_NAMED)
    assert refused.value.reason == "bad-ring"
    rollouts.make_room(database, MODEL, "lab", count=MAX_NAMED - 1)
