"""What the supervisor decides and writes, without processes."""

import json
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.device.link import journal as journal_module
from limpet.device.link import messages as m
from limpet.device.link.journal import Journal, read_journal
from limpet.device.link.permits import PERMITS, Role, peers_of
from limpet.device.link.role import CANNOT_RUN
from limpet.device.link.start import Start
from limpet.device.supervisor._policy import (
    GIVE_UP_AFTER,
    LONGEST_DELAY,
    ORDER,
    Restarts,
    decide_patience,
    decide_restart,
)
from limpet.device.supervisor._slots import SlotKeeper, begin_erasing, finish_erasing
from limpet.errors import Rejected
from limpet.firmware.slots import BOOT_FILE, SlotName, SlotRecord, factory_state, save_boot_state
from limpet.firmware.tree import digest_tree

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_quick_deaths_wait_longer_each_time_and_then_the_slot_is_given_up() -> None:
    restarts, delays = Restarts(), []
    for _ in range(GIVE_UP_AFTER):
        restarts, delay = decide_restart(restarts, lived=1)
        assert delay is not None
        delays.append(delay)
    assert delays == sorted(delays)
    assert decide_restart(restarts, lived=1)[1] is None


def test_the_products_code_is_started_again_for_ever_with_the_longest_wait() -> None:
    restarts, delay = Restarts(), None
    for _ in range(5000):
        restarts, delay = decide_restart(restarts, lived=0.1, status=CANNOT_RUN, forever=True)
        assert delay is not None
        assert delay <= LONGEST_DELAY
    assert delay == LONGEST_DELAY


def test_nobody_waits_for_the_products_code_unless_it_is_on_trial() -> None:
    waits = {role for role in ORDER if decide_patience(role, on_trial=False) is None}
    assert waits == {*ORDER} - {Role.APP, Role.ANNOUNCER}
    assert all(decide_patience(role, on_trial=True) is None for role in ORDER)


@given(st.lists(st.floats(60, 1e6), max_size=50))
def test_a_role_that_lives_long_between_deaths_is_never_given_up(lives: list[float]) -> None:
    restarts = Restarts()
    for lived in lives:
        restarts, delay = decide_restart(restarts, lived=lived)
        assert delay is not None
        assert delay <= LONGEST_DELAY
    assert restarts.total == len(lives)


def test_a_role_that_the_system_cannot_confine_is_not_tried_again() -> None:
    assert decide_restart(Restarts(), lived=1, status=CANNOT_RUN)[1] is None
    assert decide_restart(Restarts(), lived=1, status=1)[1] is not None


def test_nobody_is_started_before_whom_it_asks() -> None:
    for caller, callee in PERMITS:
        # The announcer is told again and again, and only tells of a network that is open.
        if Role.SUPERVISOR not in (caller, callee) and callee is not Role.ANNOUNCER:
            assert ORDER.index(callee) < ORDER.index(caller)


def test_the_gateway_has_no_link_to_the_keeper() -> None:
    assert Role.KEEPER not in peers_of(Role.GATEWAY)
    assert peers_of(Role.KEEPER) == {Role.SUPERVISOR, Role.UPDATER}


def _slots(tmp_path: Path) -> SlotKeeper:
    (tmp_path / "slots").mkdir()
    record = SlotRecord(
        version="1.0.0", manifest_sha256="0" * 64, tree_sha256="0" * 64, security_counter=1
    )
    save_boot_state(tmp_path / "slots" / BOOT_FILE, factory_state(record))
    return SlotKeeper(Start(role=Role.SUPERVISOR, root=tmp_path, slot="a"))


def _stage(root: Path) -> m.Activate:
    """A tree as the updater leaves it."""
    tree = root / "updater" / "staging" / "b"
    tree.mkdir(parents=True)
    (tree / "file").write_text("new")
    return m.Activate(
        slot="b",
        version="1.1.0",
        manifest_sha256="1" * 64,
        tree_sha256=digest_tree(tree),
        security_counter=1,
    )


def test_an_activation_is_durable_and_the_running_slot_stays_good(tmp_path: Path) -> None:
    slots = _slots(tmp_path)
    slots.activate(_stage(tmp_path))
    record = slots.read()
    assert (record.running, record.version, record.on_trial) == ("a", "1.0.0", False)
    other = SlotKeeper(Start(role=Role.SUPERVISOR, root=tmp_path, slot="b"))
    assert other.read().on_trial


def test_of_two_activations_at_once_the_first_is_done_and_the_second_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots, request = _slots(tmp_path), _stage(tmp_path)
    taken: list[str] = []
    take = slots._writer.take

    def slowly(slot: SlotName, record: SlotRecord) -> None:
        taken.append("begun")
        second.start()
        second.join(timeout=0.5)  # it comes into the midst of the first, if it is let
        take(slot, record)
        taken.append("done")

    def ask_again() -> None:
        try:
            slots.activate(request)
        except Rejected as error:
            taken.append(error.reason)

    second = Thread(target=ask_again)
    monkeypatch.setattr(slots._writer, "take", slowly)
    slots.activate(request)
    second.join()
    assert taken == ["begun", "done", "slot-in-use"]


def test_a_tree_other_than_the_activated_one_is_never_put_on_trial(tmp_path: Path) -> None:
    slots, request = _slots(tmp_path), _stage(tmp_path)
    (tmp_path / "updater" / "staging" / "b" / "file").write_text("taken")
    with pytest.raises(Rejected) as refusal:
        slots.activate(request)
    assert refusal.value.reason == "tampered-tree"
    other = SlotKeeper(Start(role=Role.SUPERVISOR, root=tmp_path, slot="b"))
    assert not other.read().on_trial


def test_the_running_slot_cannot_be_put_on_trial(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="slot a"):
        _slots(tmp_path).activate(
            m.Activate(
                slot="a",
                version="1.1.0",
                manifest_sha256="1" * 64,
                tree_sha256="2" * 64,
                security_counter=1,
            )
        )


def test_a_rejected_trial_is_remembered_for_the_report(tmp_path: Path) -> None:
    slots = _slots(tmp_path)
    slots.activate(_stage(tmp_path))
    slots.reject("the sensor reads nonsense")
    record = slots.read()
    assert record.fell_back_from == "1.1.0"
    assert record.fell_back_reason == "the sensor reads nonsense"


def test_a_confirmation_without_a_trial_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="on trial"):
        _slots(tmp_path).confirm()


def test_erasing_goes_on_after_a_cut_and_keeps_the_security_floors(tmp_path: Path) -> None:
    for name in ("app/history/day", "gateway/key", "updater/settings/policy", "updater/floor"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert not finish_erasing(tmp_path)
    begin_erasing(tmp_path)  # … and here the power fails
    assert (tmp_path / "gateway" / "key").exists()
    assert finish_erasing(tmp_path)
    left = [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()]
    assert left == ["updater/floor"]
    assert not finish_erasing(tmp_path)


class _Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def _journal(tmp_path: Path, clock: _Clock) -> Journal:
    return Journal(tmp_path, clock=lambda: NOW, monotonic=clock)


def test_a_role_that_floods_the_log_is_counted_not_written(tmp_path: Path) -> None:
    clock = _Clock()
    journal = _journal(tmp_path, clock)
    for _ in range(10_000):
        journal.write("gateway", "noise")
    journal.write("keeper", "quiet")
    entries = list(read_journal(tmp_path))
    assert sum(e.event == "noise" for e in entries) == journal_module.BURST
    assert entries[-1].role == "keeper"
    clock.seconds += 10
    journal.write("gateway", "after")
    assert [e.event for e in read_journal(tmp_path)][-2:] == ["log-entries-dropped", "after"]


def test_the_log_stays_within_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "LOG_BYTES", 10_000)
    clock = _Clock()
    journal = _journal(tmp_path, clock)
    for number in range(500):
        clock.seconds += 1
        journal.write("app", "entry", f"{number} " + "x" * 100)
    sizes = [file.stat().st_size for file in (tmp_path / "log").iterdir()]
    assert len(sizes) == 2
    assert max(sizes) <= 10_000
    assert "499" in list(read_journal(tmp_path))[-1].detail


def test_a_line_that_was_cut_does_not_hide_the_others(tmp_path: Path) -> None:
    journal = _journal(tmp_path, _Clock())
    journal.write("app", "before")
    with (tmp_path / "log" / "device.log").open("ab") as file:
        file.write(b'{"at":"2026-\n')
    journal.write("app", "after")
    assert [e.event for e in read_journal(tmp_path)] == ["before", "after"]


def test_text_of_a_peer_cannot_forge_a_line_of_the_log(tmp_path: Path) -> None:
    _journal(tmp_path, _Clock()).write("app", "said", 'x\n{"event":"confirmed"}')
    lines = (tmp_path / "log" / "device.log").read_text().splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["event"] == "said"
