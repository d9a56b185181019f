"""The enrollment authority's key is stolen: devices that were never made report to the service.

What they can do is stop a rollout. What is offered, to whom and how soon stays the offline keys'
and the vendor's own; a device installs nothing because another one reported.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.vendor.rollout_bench import BAD, GOOD, SHARES, TEST, Bench, make_bench
from tests.vendor.workshop import MODEL, Running, make_report, running

from limpet.crypto.certificates import issue_operational, load_issuer
from limpet.crypto.keys import generate_key
from limpet.crypto.requests import Purpose, make_request, verify_request
from limpet.vendor import rollout as rollouts
from limpet.vendor.fleet import view_fleet
from limpet.vendor.home import Home
from limpet.vendor.store import Database
from limpet.wire.report import ReportKind
from limpet.wire.rollout import PlanState, position

REPORTS, JSON = "/api/v1/reports", {"content-type": "application/json"}


@pytest.fixture
def bench(home: Home, tmp_path: Path) -> Bench:
    made = make_bench(home, tmp_path)
    made.clock.now = datetime.now(UTC)  # as the service's, which dates the reports
    long = {"wait_seconds": 3600, "silent_seconds": 7200}
    rollouts.start(made.rollout, "1.1.0", shares_ppm=SHARES, canaries=(), test=TEST, **long)
    made.tick()
    return made


@pytest.fixture
def server(home: Home, bench: Bench) -> Iterator[Running]:
    with running(home) as found:
        yield found


def report(server: Running, bench: Bench, serial: str, *kinds: ReportKind) -> None:
    """As a device `serial` with a certificate that the thief of the authority issued."""
    online, key = server.home.online, generate_key()
    issuer = load_issuer(
        (online / "operational-ca.pem").read_bytes(), (online / "operational-ca.key").read_bytes()
    )
    request = verify_request(make_request(key, model=MODEL, serial=serial, purpose=Purpose.CLIENT))
    chain = issue_operational(issuer, request, now=datetime.now(UTC), lifetime=timedelta(days=1))
    client = server.client(chain, key)
    for kind in kinds:
        bench.sent += 1
        body = make_report(kind, sequence=bench.sent, version="1.1.0", manifest_sha256=bench.digest)
        assert client.post(REPORTS, body, max_bytes=9000, headers=JSON).status == 204


def test_one_forged_device_has_one_vote_however_often_it_reports(
    server: Running, bench: Bench
) -> None:
    report(server, bench, bench.admitted(1)[0], *BAD * 8)
    assert bench.tick().state is PlanState.RUNNING


def test_forged_failures_of_the_admitted_stop_the_rollout_and_change_nothing_else(
    server: Running, bench: Bench
) -> None:
    before = bench.plan()
    for serial in bench.admitted(8):
        report(server, bench, serial, *BAD)
    status = bench.tick()
    assert status.state is PlanState.HALTED
    after = bench.plan()
    assert (after.release, after.admitted_ppm) == (before.release, before.admitted_ppm)
    assert after.withdrawn == ()
    seen = {device.serial for device in view_fleet(Database.open(server.home.database))}
    assert set(bench.admitted(8)) <= seen, "the vendor sees serial numbers that it never made"


def test_forged_failures_of_devices_that_are_not_admitted_count_nothing(
    server: Running, bench: Bench
) -> None:
    late = [f"TH-L{n:04d}" for n in range(99) if position(bench.digest, f"TH-L{n:04d}") > SHARES[0]]
    for serial in late[:8]:
        report(server, bench, serial, *BAD)
    assert bench.tick().state is PlanState.RUNNING


def test_forged_successes_shorten_no_step(server: Running, bench: Bench) -> None:
    for serial in bench.admitted(12):
        report(server, bench, serial, *GOOD)
    assert bench.tick(1).state is PlanState.RUNNING
    assert bench.plan().admitted_ppm == SHARES[0]
    bench.tick(3600)
    assert bench.plan().admitted_ppm == SHARES[1], "the step's own time is over"
