"""Boot's record: no event, cut or damage to the file leaves a device without a slot."""

import os
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from limpet.errors import Rejected, Unavailable
from limpet.firmware import slots
from limpet.firmware.slots import (
    BootState,
    SlotName,
    SlotRecord,
    decide_start,
    factory_state,
    load_boot_state,
    other_slot,
    record_activation,
    record_confirmation,
    record_damage,
    record_rejection,
    save_boot_state,
)


def record(counter: int = 1, version: str = "1.0.0") -> SlotRecord:
    return SlotRecord(
        version=version,
        manifest_sha256=f"{counter:064x}",
        tree_sha256="ab" * 32,
        security_counter=counter,
    )


def on_trial(counter: int = 2) -> BootState:
    return record_activation(factory_state(record()), "b", record(counter, "2.0.0"))


def test_a_new_device_starts_the_slot_that_the_factory_filled() -> None:
    choice = decide_start(factory_state(record()))
    assert (choice.slot, choice.on_trial) == ("a", False)


def test_a_trial_costs_a_try_before_it_starts_and_falls_back_when_none_is_left() -> None:
    state = on_trial()
    for left in range(slots.TRIES - 1, -1, -1):
        choice = decide_start(state)
        assert (choice.slot, choice.on_trial) == ("b", True)
        state = choice.state_after
        assert state.trial is not None
        assert state.trial.tries_left == left
    choice = decide_start(state)
    assert (choice.slot, choice.on_trial) == ("a", False)
    assert choice.state_after.failure is not None
    assert choice.state_after.failure.version == "2.0.0"
    assert choice.state_after.security_counter == 1


def test_a_confirmed_trial_becomes_the_good_slot_and_raises_the_counter() -> None:
    state = record_confirmation(decide_start(on_trial(5)).state_after)
    assert (state.good, state.security_counter, state.trial) == ("b", 5, None)
    assert decide_start(state).slot == "b"


def test_a_rejected_trial_is_not_started_again() -> None:
    state = record_rejection(decide_start(on_trial()).state_after, "unhealthy: sensor")
    choice = decide_start(state)
    assert (choice.slot, choice.on_trial) == ("a", False)
    assert state.failure is not None
    assert state.failure.reason == "unhealthy: sensor"


def test_a_lower_security_counter_is_not_activated() -> None:
    state = record_confirmation(decide_start(on_trial(7)).state_after)
    with pytest.raises(Rejected) as refused:
        record_activation(state, "a", record(6))
    assert refused.value.reason == "rollback"


def test_the_good_slot_and_a_running_trial_are_never_written_over() -> None:
    for state, slot in ((factory_state(record()), "a"), (on_trial(), "b"), (on_trial(), "a")):
        with pytest.raises(Rejected) as refused:
            record_activation(state, slot, record(9))
        assert refused.value.reason == "slot-in-use"


def test_events_without_a_trial_are_refused() -> None:
    state = factory_state(record())
    for event in (record_confirmation, lambda s: record_rejection(s, "why")):
        with pytest.raises(Rejected) as refused:
            event(state)
        assert refused.value.reason == "no-trial"


def test_a_damaged_good_slot_yields_to_an_equally_secure_confirmed_one() -> None:
    state = record_confirmation(decide_start(on_trial(1)).state_after)
    assert decide_start(record_damage(state, "b")).slot == "a"


def test_damaging_the_newer_firmware_does_not_bring_back_one_with_a_closed_hole() -> None:
    state = record_confirmation(decide_start(on_trial(2)).state_after)
    with pytest.raises(Rejected) as refused:
        decide_start(record_damage(state, "b"))
    assert refused.value.reason == "no-slot"


def test_a_damaged_trial_has_failed() -> None:
    state = record_damage(decide_start(on_trial()).state_after, "b")
    assert decide_start(state).slot == "a"
    assert state.failure is not None
    assert state.failure.reason == "tampered-tree"


@pytest.mark.parametrize("hurt", ["boot.json", "boot.json.copy"])
@pytest.mark.parametrize("how", ["missing", "empty", "half", "flipped"])
def test_one_lost_copy_costs_nothing(tmp_path: Path, hurt: str, how: str) -> None:
    path = tmp_path / slots.BOOT_FILE
    saved = save_boot_state(path, on_trial())
    damage(tmp_path / hurt, how)
    assert load_boot_state(path) == saved


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    match how:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "half":
            path.write_bytes(data[: len(data) // 2])
        case _:
            changed = data.replace(b'"good":"a"', b'"good":"b"')
            assert changed != data
            path.write_bytes(changed)


def test_two_damaged_copies_give_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / slots.BOOT_FILE
    save_boot_state(path, on_trial())
    damage(path, "flipped")
    damage(tmp_path / "boot.json.copy", "half")
    with pytest.raises(Rejected) as refused:
        load_boot_state(path)
    assert "both copies" in refused.value.message
    assert "\n" not in str(refused.value)


def test_no_record_at_all_is_told_apart_from_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        load_boot_state(tmp_path / slots.BOOT_FILE)


@pytest.mark.parametrize("stop_after", range(8))
def test_a_cut_at_any_step_of_a_save_leaves_the_old_or_the_new_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    path = tmp_path / slots.BOOT_FILE
    old = save_boot_state(path, factory_state(record()))
    steps = 0
    real = os.fsync

    def cut(descriptor: int) -> None:
        nonlocal steps
        if steps == stop_after:
            raise KeyboardInterrupt
        steps += 1
        real(descriptor)

    monkeypatch.setattr(os, "fsync", cut)
    new = on_trial()
    try:
        save_boot_state(path, new)
    except KeyboardInterrupt:
        assert stop_after < 4
    else:
        assert stop_after >= 4
    monkeypatch.undo()
    loaded = load_boot_state(path)
    assert loaded.trial == (new.trial if loaded.generation > old.generation else None)
    decide_start(loaded)


class AnyHistory(RuleBasedStateMachine):
    """Activations, starts, cuts, healthy and sick slots, in any order."""

    @initialize(counter=st.integers(0, 3))
    def factory(self, counter: int) -> None:
        self.state = factory_state(record(counter))
        self.running: SlotName | None = None
        self.counters = [counter]

    def durable(self, state: BootState, cut: bool) -> None:
        """A cut loses the change, never the record (two copies, atomic)."""
        if cut:
            self.running = None
        else:
            self.state = state

    @rule(cut=st.booleans())
    def start(self, cut: bool) -> None:
        choice = decide_start(self.state)
        self.durable(choice.state_after, cut)
        if not cut:
            self.running = choice.slot
            assert choice.on_trial == (self.state.trial is not None)

    @precondition(lambda self: self.running is not None)
    @rule(counter=st.integers(0, 9), slot=st.sampled_from(["a", "b"]), cut=st.booleans())
    def activate(self, counter: int, slot: SlotName, cut: bool) -> None:
        try:
            after = record_activation(self.state, slot, record(counter))
        except Rejected:
            assert (
                slot == self.state.good
                or self.state.trial is not None
                or counter < self.state.security_counter
            )
        else:
            assert slot != self.running
            self.durable(after, cut)
            self.running = None

    @precondition(lambda self: self.running is not None and self.state.trial is not None)
    @rule(healthy=st.booleans(), cut=st.booleans())
    def judge(self, healthy: bool, cut: bool) -> None:
        if healthy:
            self.durable(record_confirmation(self.state), cut)
        else:
            self.durable(record_rejection(self.state, "sick"), cut)
            self.running = None

    @precondition(lambda self: self.state.trial is not None)
    @rule()
    def damage_trial(self) -> None:
        assert self.state.trial is not None
        self.state = record_damage(self.state, self.state.trial.slot)
        self.running = None

    @rule()
    def damage_spare(self) -> None:
        spare = other_slot(self.state.good)
        if self.state.trial is None:
            self.state = record_damage(self.state, spare)

    @rule()
    def power_cut(self) -> None:
        self.running = None

    @invariant()
    def there_is_a_slot_and_the_counter_never_falls(self) -> None:
        good = self.state.record_of(self.state.good)
        assert good is not None
        assert good.confirmed
        choice = decide_start(self.state)
        for _ in range(slots.TRIES + 1):  # crashing for ever ends on the good slot
            choice = decide_start(choice.state_after)
        assert choice.slot == self.state.good
        self.counters.append(self.state.security_counter)
        assert self.counters == sorted(self.counters)
        assert good.security_counter == self.state.security_counter


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
