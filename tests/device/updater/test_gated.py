"""A device whose firmware knows a gate takes nothing that no gate passed, whoever signed it."""

from pathlib import Path
from typing import NamedTuple

import pytest
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import RepositorySimulator

from limpet.crypto.attesting import new_attesting_key
from limpet.device.updater.check import Outcome
from limpet.wire.attestation import attestation_path

GATE = new_attesting_key()


@pytest.fixture
def gated(bench: Bench) -> Bench:
    bench.gate_keys = (GATE.public_key(),)
    return bench


class Word(NamedTuple):
    """The gate's word in the repository."""

    path: str
    data: bytes


@pytest.fixture
def word(repository: RepositorySimulator, work: Path) -> Word:
    """Of a release that the gate passed, and that is offered to all."""
    release = repository.add_release(work)
    data = repository.attest(release, GATE)
    repository.offer(release)
    (path,) = [name for name in repository.files if name.startswith("attestations/")]
    return Word(path, data)


@pytest.mark.usefixtures("word")
def test_what_the_gate_passed_is_installed(gated: Bench) -> None:
    assert gated.check().outcome is Outcome.READY


def test_stolen_release_keys_alone_ship_nothing(
    gated: Bench, repository: RepositorySimulator, work: Path
) -> None:
    release = repository.add_release(work)
    repository.offer(release)
    result = gated.check()
    assert (result.outcome, result.reason) == (Outcome.REFUSED, "ungated")
    assert ("update-refused", "warning") in {(event, level) for event, _, level in gated.logged}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"result": "FAILED"}, "did not let it pass"),
        ({"of": "b" * 64}, "another release"),
        ({"key": new_attesting_key()}, "no key of the gate"),
    ],
    ids=["refused", "of-another-release", "by-a-thief"],
)
def test_a_word_that_does_not_let_it_pass_is_none(
    gated: Bench,
    repository: RepositorySimulator,
    work: Path,
    changes: dict[str, object],
    says: str,
) -> None:
    release = repository.add_release(work)
    repository.attest(release, **({"key": GATE} | changes))  # type: ignore[arg-type]
    repository.offer(release)
    result = gated.check()
    assert (result.outcome, result.reason) == (Outcome.REFUSED, "bad-attestation")
    assert says in result.detail


def test_a_word_that_is_changed_on_the_way_is_refused_and_the_right_one_accepted(
    gated: Bench, repository: RepositorySimulator, word: Word
) -> None:
    repository.files[word.path] = word.data[:-3] + b"x" + word.data[-2:]
    assert gated.check().reason == "bad-attestation"
    repository.files[word.path] = word.data
    assert gated.check().outcome is Outcome.READY


def test_a_server_without_the_word_delays_and_the_next_check_goes_on(
    gated: Bench, repository: RepositorySimulator, word: Word
) -> None:
    del repository.files[word.path]
    result = gated.check()
    assert (result.outcome, result.reason) == (Outcome.UNAVAILABLE, "missing-file")
    repository.files[word.path] = word.data
    assert gated.check().outcome is Outcome.READY


def test_the_word_is_fetched_once_and_a_damaged_copy_again(
    gated: Bench, repository: RepositorySimulator, word: Word
) -> None:
    assert gated.check().outcome is Outcome.READY
    path = word.path
    assert path == attestation_path(path.removeprefix("attestations/").removesuffix(".json"))
    del repository.files[word.path]
    assert gated.check().outcome is Outcome.READY  # from what it kept
    kept = gated.root / "updater" / "gate.json"
    kept.write_bytes(word.data[:-9])
    repository.files[word.path] = word.data
    assert gated.check().outcome is Outcome.READY
    assert kept.read_bytes() == word.data


def test_a_device_that_knows_no_gate_asks_for_no_word(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    assert bench.check().outcome is Outcome.READY
