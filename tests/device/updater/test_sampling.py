"""Who reports on a release: the share that was signed, and never half an attempt."""

import itertools
from datetime import timedelta
from pathlib import Path

import pytest
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import NOW, RepositorySimulator

from limpet.device.link import messages as m
from limpet.device.updater.check import Outcome
from limpet.wire.release import Bounds, ahead_tag
from limpet.wire.report import ReportKind
from limpet.wire.rollout import PlannedRelease, PlanState, device_tag, is_sampled

HEALTHY = m.Health(healthy=True)
SICK = m.Health(healthy=False, reason="app: no")
TENTH = 100_000
NOBODY = 0  # what a thief with the online keys would say


def make_bounds(report_ppm: int, *, ahead: tuple[str, ...] = ()) -> Bounds:
    return Bounds(
        not_before=NOW - timedelta(days=1),
        minimum_duration_seconds=0,
        largest_step_ppm=1_000_000,
        ahead=ahead,
        report_ppm=report_ppm,
    )


@pytest.fixture
def release(repository: RepositorySimulator, work: Path) -> PlannedRelease:
    return repository.add_release(work, bounds=make_bounds(TENTH))


def serial_of(release: PlannedRelease, *, sampled: bool) -> str:
    names = map("TH-{:04d}".format, itertools.count())
    return next(n for n in names if is_sampled(release.manifest_sha256, n, TENTH) is sampled)


def kinds(bench: Bench) -> list[ReportKind]:
    return [report.kind for report in bench.reports()]


def test_a_device_outside_of_the_sample_installs_and_says_nothing(
    bench: Bench, repository: RepositorySimulator, release: PlannedRelease
) -> None:
    bench.serial = serial_of(release, sampled=False)
    repository.offer(release)
    assert bench.check().outcome is Outcome.READY
    bench.boot()
    bench.judge(HEALTHY)
    assert bench.version == "1.1.0"
    assert bench.check().outcome is Outcome.NOTHING
    assert kinds(bench) == []
    events = [event for event, _, _ in bench.logged]
    assert "update-confirmed" in events, "its own log has everything"


@pytest.mark.parametrize(("health", "end"), [(HEALTHY, "confirmed"), (SICK, "fell-back")])
def test_no_online_key_silences_the_sample(
    bench: Bench,
    repository: RepositorySimulator,
    release: PlannedRelease,
    health: m.Health,
    end: str,
) -> None:
    bench.serial = serial_of(release, sampled=True)
    repository.offer(release, report_ppm=NOBODY)
    bench.check()
    bench.boot()
    bench.judge(HEALTHY, health)
    if health is SICK:
        bench.boot()
        bench.check()
    assert kinds(bench) == [ReportKind.ATTEMPT, ReportKind.INSTALLED, ReportKind(end)]


def test_a_failure_outside_of_the_sample_is_not_told_either(
    bench: Bench, repository: RepositorySimulator, release: PlannedRelease
) -> None:
    bench.serial = serial_of(release, sampled=False)
    repository.offer(release)
    bench.check()
    bench.boot()
    bench.judge(HEALTHY, SICK)
    bench.boot()
    assert bench.check().reason == "failed-before"
    assert kinds(bench) == []


@pytest.mark.parametrize("way", ["share", "ring", "ahead"])
def test_a_plan_lets_more_report_and_rings_always_do(
    bench: Bench, repository: RepositorySimulator, work: Path, way: str
) -> None:
    ahead = (ahead_tag("1.1.0", "TH-0007"),) if way == "ahead" else ()
    release = repository.add_release(work, bounds=make_bounds(1, ahead=ahead))
    bench.serial = "TH-0007"
    tag = device_tag(release.manifest_sha256, bench.serial)
    repository.offer(
        release,
        report_ppm=1_000_000 if way == "share" else NOBODY,
        named=(tag,) if way == "ring" else (),
    )
    bench.check()
    assert kinds(bench) == [ReportKind.ATTEMPT, ReportKind.INSTALLED]


@pytest.mark.parametrize(("before", "after", "told"), [(10**6, NOBODY, 3), (NOBODY, 10**6, 0)])
def test_an_attempt_and_its_result_are_both_told_or_neither(
    bench: Bench,
    repository: RepositorySimulator,
    release: PlannedRelease,
    before: int,
    after: int,
    told: int,
) -> None:
    """The plan's share changes while the image comes: a half-told attempt would count as silent."""
    bench.serial = serial_of(release, sampled=False)
    repository.offer(release, report_ppm=before)
    image = next(path for path in repository.files if path.startswith("images/"))

    def change(path: str) -> None:
        if path == image and repository.plan.report_ppm != after:
            repository.offer(release, report_ppm=after)

    repository.hooks.append(change)
    assert bench.check().outcome is Outcome.READY
    assert repository.plan.report_ppm == after
    bench.boot()
    bench.judge(HEALTHY)
    assert len(kinds(bench)) == told


@pytest.mark.parametrize("sampled", [True, False])
def test_holds_and_refusals_of_a_release_are_sampled(
    bench: Bench, repository: RepositorySimulator, release: PlannedRelease, sampled: bool
) -> None:
    bench.serial = serial_of(release, sampled=sampled)
    repository.offer(release, state=PlanState.PAUSED)
    assert bench.check().outcome is Outcome.HELD
    repository.offer(release, withdrawn=(release.manifest_sha256,))
    assert bench.check().outcome is Outcome.REFUSED
    assert kinds(bench) == ([ReportKind.HELD, ReportKind.REFUSED] if sampled else [])


def test_forged_metadata_is_told_by_everybody(
    bench: Bench, repository: RepositorySimulator
) -> None:
    """Perhaps one device is all that meets an attack."""
    repository.offer(PlannedRelease(version="9.9.9", manifest_sha256="ab" * 32))
    result = bench.check()
    assert (result.outcome, result.reason) == (Outcome.REFUSED, "unsigned-release")
    assert kinds(bench) == [ReportKind.REFUSED]


@pytest.mark.parametrize("sampled", [True, False])
def test_what_is_refused_at_the_activation_ends_an_attempt_that_was_told(
    bench: Bench,
    repository: RepositorySimulator,
    release: PlannedRelease,
    monkeypatch: pytest.MonkeyPatch,
    sampled: bool,
) -> None:
    supervise = bench._supervise

    async def refuse(request: m.Request) -> m.Reply:
        if isinstance(request, m.Activate):
            return m.Refused(reason="read-only", message="the disk is read-only")
        return await supervise(request)

    monkeypatch.setattr(bench, "_supervise", refuse)
    bench.serial = serial_of(release, sampled=sampled)
    repository.offer(release)
    assert bench.check().outcome is Outcome.READY
    told = [ReportKind.ATTEMPT, ReportKind.INSTALLED, ReportKind.REFUSED]
    assert kinds(bench) == (told if sampled else [])
