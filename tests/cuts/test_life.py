"""R2.4: from whatever a power cut leaves of a whole life, a device starts and keeps its promises.

One life is recorded (see `life`), then devices are started from thousands of its states. Longer:
`./run cuts --states 60000 --finish 1000 --start 300`, or the variables below, as `.ci/nightly`
does.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cuts.disk import Disk, Node
from tests.cuts.inquiry import PHASES, inquire, look_at
from tests.cuts.mutations import in_place, removed_first, without_syncs
from tests.cuts.operations import LEFT_OUT, Recording
from tests.cuts.recording import Recorded, make_recording
from tests.needs import need

STATES = int(os.environ.get("LIMPET_CUT_STATES", "3000"))
FINISHED = int(os.environ.get("LIMPET_CUT_FINISHED", "15"))
STARTED = int(os.environ.get("LIMPET_CUT_STARTED", "2"))
WORKERS = int(os.environ.get("LIMPET_CUT_WORKERS", "1"))
SHORTEST = 60
SEED = int(os.environ.get("LIMPET_CUT_SEED", "0"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.end_to_end,
    pytest.mark.timeout(900 + STATES // 4 + 4 * FINISHED + 300 * STARTED),
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    need("strace", package="strace", untried="the power cuts were not made")
    place = tmp_path_factory.mktemp("cuts")
    for directory in (place, *list(place.parents)[:2]):
        directory.chmod(0o755)  # the roles' users pass through
    yield make_recording(place / "life")
    shutil.rmtree(place / "life", ignore_errors=True)


def test_what_was_recorded_is_what_lies_on_the_disk(recorded: Recorded) -> None:
    disk = Disk(recorded.device)
    for operation in recorded.device.operations:
        disk.apply(operation)
    _assert_same(disk.state(frozenset(disk.loose()), {}), recorded.work / "device", top=True)


def _assert_same(node: Node, path: Path, *, top: bool = False) -> None:
    if not node.is_directory:
        found = os.fsencode(path.readlink()) if node.is_link else path.read_bytes()
        assert found == node.data, path
        return
    left_out = {*LEFT_OUT, "log"} if top else set()
    assert {one.name for one in path.iterdir()} - left_out == set(node.entries), path
    for name, child in node.entries.items():
        _assert_same(child, path / name)


def test_from_every_state_a_device_starts_and_keeps_what_it_acknowledged(
    recorded: Recorded,
) -> None:
    found = inquire(
        recorded, states=STATES, finished=FINISHED, started=STARTED, seed=SEED, workers=WORKERS
    )
    print(found.as_table())
    assert not found.problems, found.as_table()
    assert found.loaded.total() >= 0.8 * STATES
    assert found.finished.total() >= 0.7 * FINISHED
    assert found.started.total() == STARTED
    most = min(STATES // len(PHASES), SHORTEST)  # some phases are short: no more are possible
    assert all(found.loaded[phase] >= most // 2 for phase in PHASES)


Rewrite = Callable[[Recording, Callable[[str], bool]], Recording]
MISTAKES: dict[str, tuple[Rewrite, Callable[[str], bool], str, str]] = {
    "the boot record is not fsynced": (
        without_syncs,
        lambda path: path.startswith(("slots/boot.json", "slots/.boot.json")),
        "trial",
        "boot: ",
    ),
    "the names in slots are not fsynced": (
        without_syncs,
        lambda path: path == "slots",
        "settings",
        "boot: 1.0.0 starts although 1.1.0 was confirmed",
    ),
    "new firmware is not fsynced": (
        without_syncs,
        lambda path: path.startswith(("slots/b/", "slots/b.new", "updater/staging/b")),
        "settings",
        "boot: 1.0.0 starts although 1.1.0 was confirmed",
    ),
    "the accounts are not fsynced": (
        without_syncs,
        lambda path: path == "accounts/accounts.json",
        "settings",
        "accounts: ",
    ),
    "the accounts are written in place": (
        in_place,
        lambda path: path == "accounts/accounts.json",
        "settings",
        "accounts: ",
    ),
    "the accounts are removed before they are replaced": (
        removed_first,
        lambda path: path == "accounts/accounts.json",
        "settings",
        "accounts.json is missing",
    ),
    "the name of the policy is not fsynced": (
        without_syncs,
        lambda path: path == "updater/settings",
        "settings",
        "updater: the window begins at",
    ),
    "the directory of the policy is not fsynced": (
        without_syncs,
        lambda path: path == "updater",
        "settings",
        "updater: the window begins at",
    ),
    "the app's state is not fsynced": (
        without_syncs,
        lambda path: path == "app/settings.1.json",
        "settings",
        "app: ",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found_and_nothing_is_where_it_was_not_made(
    recorded: Recorded, mistake: str
) -> None:
    make, about, phase, shown = MISTAKES[mistake]
    most = 400 if make is removed_first else 80  # it shows at few instants
    found = look_at(make(recorded.device, about), phase, about, most=most, until=shown)
    assert any(shown in one.what for one in found.problems), found.as_table()
    control = look_at(recorded.device, phase, about, most=20)
    assert control.loaded.total() >= 8
    assert not control.problems, control.as_table()


def test_the_boot_records_second_copy_bears_that_one_is_written_in_place(
    recorded: Recorded,
) -> None:
    def about(path: str) -> bool:
        return path.startswith(("slots/boot.json", "slots/.boot.json"))

    found = look_at(in_place(recorded.device, about), "trial", about, most=40)
    assert found.loaded.total() > 20
    assert not found.problems, found.as_table()
