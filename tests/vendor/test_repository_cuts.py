"""Power fails between any two writes of a publication: a client always sees one whole state."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.vendor.workshop import MODEL, NOW, Clock, TufClient, make_release, next_releases

from limpet.vendor.home import Home, open_home
from limpet.vendor.repository import Repository
from limpet.wire.codec import encode_json
from limpet.wire.release import manifest_path
from limpet.wire.rollout import Plan, PlanState, plan_path
from limpet.wire.support import AfterSupport, SupportStatement, support_path


class Cut(BaseException):
    """The power is gone."""


class CutAfter:
    """Ends everything right after the n-th write is durable; remembers what was written."""

    def __init__(self, writes: int) -> None:
        self.left = writes
        self.names: list[str] = []

    def __call__(self, name: str) -> None:
        self.names.append(name)
        self.left -= 1
        if self.left == 0:
            raise Cut


Publish = Callable[[Home, Repository, Path, Clock], None]


def _release(home: Home, repository: Repository, directory: Path, clock: Clock) -> None:
    repository.add_release(make_release(home, directory))


def _plan(home: Home, repository: Repository, directory: Path, clock: Clock) -> None:
    repository.publish_plan(
        Plan(model=MODEL, state=PlanState.PAUSED, admitted_ppm=7, issued_at=NOW)
    )


def _support(home: Home, repository: Repository, directory: Path, clock: Clock) -> None:
    statement = encode_json(
        SupportStatement(
            model=MODEL,
            until=NOW + timedelta(days=9),
            after=AfterSupport.KEEPS_WORKING_LOCALLY,
            text="It goes on.",
            issued_at=NOW,
        )
    )
    signing = next_releases(home, support_path(MODEL), statement)
    repository.publish_support(statement, signing.data())


def _refresh(home: Home, repository: Repository, directory: Path, clock: Clock) -> None:
    clock.now = NOW + timedelta(days=6)  # rollout, snapshot and timestamp are due together
    repository.refresh_timestamp()


CASES = [
    (_release, manifest_path(MODEL, "1.1.0"), 6),
    (_plan, plan_path(MODEL), 4),
    (_support, support_path(MODEL), 4),
    (_refresh, plan_path(MODEL), 3),
]


@pytest.mark.parametrize(("publish", "path", "writes"), CASES)
def test_a_cut_after_each_write_leaves_the_old_state_or_the_new_one(
    home: Home, tmp_path: Path, publish: Publish, path: str, writes: int
) -> None:
    old = TufClient(home, tmp_path / "before").read(path)
    for cut_after in range(1, writes + 1):
        copy = open_home(shutil.copytree(home.root, tmp_path / f"cut{cut_after}"))
        known = TufClient(copy, tmp_path / f"known{cut_after}")  # has seen the old state
        known.refreshed()
        cut = CutAfter(cut_after)
        clock = Clock()
        with pytest.raises(Cut):
            publish(copy, Repository(copy, clock, after_write=cut), tmp_path, clock)
        fresh = TufClient(copy, tmp_path / f"fresh{cut_after}")
        last = cut.names[-1] == "metadata/timestamp.json"
        assert last == (cut_after == writes), "the timestamp is the last write, and only it"
        for client in (known, fresh):
            seen = client.read(path)
            assert (seen == old) is (not last or publish is _refresh)


@pytest.mark.parametrize(("publish", "path", "writes"), CASES[:3])
def test_after_a_cut_the_same_publication_succeeds(
    home: Home, tmp_path: Path, publish: Publish, path: str, writes: int
) -> None:
    old = TufClient(home, tmp_path / "before").read(path)
    for cut_after in range(1, writes):
        copy = open_home(shutil.copytree(home.root, tmp_path / f"cut{cut_after}"))
        client = TufClient(copy, tmp_path / f"client{cut_after}")
        cut = CutAfter(cut_after)
        with pytest.raises(Cut):
            publish(copy, Repository(copy, Clock(), after_write=cut), tmp_path, Clock())
        assert client.read(path) == old
        clock = Clock()
        publish(copy, Repository(copy, clock), tmp_path, clock)
        assert client.read(path) != old


def test_the_order_of_writes_is_images_bill_targets_delegated_snapshot_timestamp(
    home: Home, tmp_path: Path
) -> None:
    watch = CutAfter(99)
    Repository(home, Clock(), after_write=watch).add_release(make_release(home, tmp_path))
    kinds = [name.split("/")[0] if "metadata" not in name else name for name in watch.names]
    assert kinds == [
        "images",
        "sboms",
        "targets",
        f"metadata/2.releases/{MODEL}.json",
        "metadata/2.snapshot.json",
        "metadata/timestamp.json",
    ]


def test_unfinished_files_are_left_by_no_failure(home: Home, tmp_path: Path) -> None:
    release = make_release(home, tmp_path)
    release.image.unlink()
    from limpet.errors import Unavailable

    with pytest.raises(Unavailable, match="no such file"):
        Repository(home, Clock()).add_release(release)
    assert not [path for path in home.public.rglob("*") if path.name.endswith(".part")]
