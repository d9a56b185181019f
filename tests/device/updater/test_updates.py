"""An update from the offer to its confirmation: what it does, tells, survives and tries again."""

from datetime import timedelta
from pathlib import Path

from tests.device.updater.bench import Bench
from tests.device.updater.simulator import (
    CHUNK,
    NOW,
    RepositorySimulator,
    unreachable,
)

from limpet.device.link import messages as m
from limpet.device.updater.check import Outcome
from limpet.device.updater.engine import Engine
from limpet.errors import Unavailable
from limpet.firmware.slots import BOOT_FILE, load_boot_state
from limpet.firmware.tree import digest_tree
from limpet.wire.codec import encode_json
from limpet.wire.report import ReportKind

HEALTHY = m.Health(healthy=True)

SICK = m.Health(healthy=False, reason="app: the sensor reads 300 degrees")


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
    said = bench.status_after_check().reason
    assert said.startswith("failed-before: 1.1.0 failed: unhealthy: app: the sensor reads 300")
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


def test_an_unreachable_vendor_is_no_refusal_and_keeps_everything(
    bench: Bench, repository: RepositorySimulator
) -> None:
    repository.hooks.append(unreachable)
    assert bench.check().outcome is Outcome.UNAVAILABLE
    assert bench.reports() == []


def test_an_interrupted_download_goes_on_where_it_was(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    chunks: list[int] = []

    def cut(path: str, offset: int) -> None:
        if offset >= 5 << 18:
            raise Unavailable("the line broke")
        chunks.append(offset)

    repository.chunk_hooks.append(cut)
    assert bench.check().outcome is Outcome.UNAVAILABLE, "it stays cut"
    assert chunks == list(range(0, 5 << 18, CHUNK)), "nothing was fetched twice meanwhile"
    chunks.clear()
    repository.chunk_hooks[:] = [lambda path, offset: chunks.append(offset)]
    assert bench.check().outcome is Outcome.READY
    assert 1 << 20 <= chunks[0] <= 1 << 20 | 1024, "it went on at the end of the first group"


def test_nothing_is_fetched_again_between_an_activation_and_the_restart(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))

    async def twice(engine: Engine) -> None:
        assert (await engine.check()).outcome is Outcome.READY
        assert (await engine.check()).outcome is Outcome.READY  # the owner asks meanwhile
        assert engine.status().state == "installing"

    bench.run(twice)
    assert len([request for request in bench.asked if isinstance(request, m.Activate)]) == 1
    assert [event for event, _, _ in bench.logged].count("update-begins") == 1


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
