"""What whoever looks on is told of a download: which file, how far, of how much."""

from pathlib import Path

import pytest
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import CHUNK, RepositorySimulator, unreachable
from tests.device.updater.test_deltas import offer

from limpet.device.link import messages as m
from limpet.device.updater.check import CheckResult, Outcome
from limpet.device.updater.engine import Engine
from limpet.errors import Unavailable


def watch(
    bench: Bench, repository: RepositorySimulator, *, failing: bool = False
) -> list[m.UpdateStatus]:
    """The status before each chunk of one check, and after it."""
    seen: list[m.UpdateStatus] = []

    async def life(engine: Engine) -> CheckResult:
        def look(path: str, offset: int) -> None:
            seen.append(engine.status())

        if failing:  # a check before that, which cannot be finished
            repository.hooks.append(unreachable)
            await engine.check()
            assert engine.status().reason.startswith("unreachable: ")
            repository.hooks.remove(unreachable)
        repository.chunk_hooks.append(look)
        result = await engine.check()
        seen.append(engine.status())
        repository.chunk_hooks.remove(look)
        return result

    bench.run(life)
    return seen


def test_a_whole_image_is_counted_chunk_by_chunk_and_not_on_the_disk(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    [size] = [len(data) for path, data in repository.files.items() if path.startswith("images/")]
    seen = watch(bench, repository)
    done = [status.fetching for status in seen]
    assert (done[0], done[-1]) == (None, None), "before the first byte, and after the last"
    counted = [one for one in done if one is not None]
    assert counted == [
        m.Fetching(way="whole", done=(number + 1) * CHUNK, size=size)
        for number in range(len(counted))
    ]
    assert len(counted) == (size - 1) // CHUNK
    assert {s.state for s in seen if s.fetching is not None} == {"downloading"}


def test_while_it_comes_no_reason_of_an_earlier_check_is_said(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    seen = watch(bench, repository, failing=True)
    assert len(seen) > 3
    assert {status.reason for status in seen[:-1]} == {""}


def test_a_delta_is_named_with_its_own_size(
    bench: Bench, repository: RepositorySimulator, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.device.updater.simulator.CHUNK", 100)
    offered = offer(bench, repository, work)
    ways = {(s.fetching.way, s.fetching.size) for s in watch(bench, repository) if s.fetching}
    assert ways == {("delta", offered.delta.size)}


def test_after_a_cut_it_counts_from_the_beginning_of_the_file(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    cut_at = 20 * CHUNK

    def cut(path: str, offset: int) -> None:
        if offset >= cut_at:
            raise Unavailable("the line is cut")

    repository.chunk_hooks.append(cut)
    assert bench.check().outcome is Outcome.UNAVAILABLE
    repository.chunk_hooks.clear()
    first = next(s.fetching for s in watch(bench, repository) if s.fetching is not None)
    assert first.done > 1 << 20, "the group that was durable is not fetched again"
