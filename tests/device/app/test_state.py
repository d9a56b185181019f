"""Durable state: cuts, damage, migrations, and firmware that falls back."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpet import storage
from limpet.device.app import State
from limpet.errors import Misuse, Rejected, Unavailable


class One(msgspec.Struct, frozen=True):
    level: int = 0


class Two(msgspec.Struct, frozen=True):
    percent: int = 0
    colour: str = "white"


def to_two(data: dict[str, Any]) -> dict[str, Any]:
    return {"percent": data["level"] * 10}


def open_one(directory: Path) -> State[One]:
    return State(directory, "lamp", One, default=One())


def open_two(directory: Path) -> State[Two]:
    return State(directory, "lamp", Two, default=Two(), schema=2, migrations={1: to_two})


def test_what_was_replaced_is_there_after_a_restart(tmp_path: Path) -> None:
    open_one(tmp_path).replace(One(7))
    assert open_one(tmp_path).value == One(7)
    assert (tmp_path / "lamp.1.json").stat().st_mode & 0o777 == 0o600


def test_a_new_version_migrates_and_leaves_the_old_file_for_a_fall_back(tmp_path: Path) -> None:
    open_one(tmp_path).replace(One(7))
    new = open_two(tmp_path)
    assert new.value == Two(70)
    new.replace(Two(75, "red"))
    assert open_one(tmp_path).value == One(7)


def test_a_change_made_after_a_fall_back_is_what_the_new_version_finds(tmp_path: Path) -> None:
    open_one(tmp_path).replace(One(7))
    open_two(tmp_path).replace(Two(75))
    open_one(tmp_path).replace(One(3))  # fell back
    assert open_two(tmp_path).value == Two(30)
    assert open_one(tmp_path).value == One(3)


def test_a_missing_migration_is_told_and_destroys_nothing(tmp_path: Path) -> None:
    open_one(tmp_path).replace(One(7))
    with pytest.raises(Misuse, match="no migration from schema 1"):
        State(tmp_path, "lamp", Two, default=Two(), schema=3, migrations={2: to_two})
    assert open_one(tmp_path).value == One(7)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_damage_to_the_file_is_ever_read_as_another_value(data: st.DataObject) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        open_one(directory).replace(One(7))
        path = directory / "lamp.1.json"
        whole = path.read_bytes()
        if data.draw(st.booleans()):
            damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
        else:
            place = data.draw(st.integers(0, len(whole) - 1))
            other = data.draw(st.integers(0, 255).filter(lambda b: b != whole[place]))
            damaged = whole[:place] + bytes([other]) + whole[place + 1 :]
        path.write_bytes(damaged)
        state = open_one(directory)
        assert state.value in (One(0), One(7))  # a changed sequence number harms nothing
        if state.value == One(0):
            assert state.damage
            assert (directory / "lamp.1.json.damaged").read_bytes() == damaged
        state.replace(One(9))
        assert open_one(directory).value == One(9)


def test_a_write_that_fails_leaves_the_old_state_in_memory_and_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = open_one(tmp_path)
    state.replace(One(7))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(Unavailable, match="no space left"):
        state.replace(One(8))
    monkeypatch.undo()
    assert state.value == One(7)
    assert open_one(tmp_path).value == One(7)
    assert os.listdir(tmp_path) == ["lamp.1.json"]


def test_a_directory_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        open_one(tmp_path / "nowhere")
    (tmp_path / "lamp.1.json").mkdir()
    with pytest.raises(Unavailable):
        open_one(tmp_path)


@pytest.mark.parametrize("name", ["../evil", "", "A", "a/b", "x" * 40])
def test_a_name_that_is_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Misuse):
        State(tmp_path, name, One, default=One())


def to_one(data: dict[str, Any]) -> dict[str, Any]:
    return {"level": data["percent"] // 10}


def open_both_ways(directory: Path, said: list[str] | None = None) -> State[Two]:
    return State(
        directory,
        "lamp",
        Two,
        default=Two(),
        schema=2,
        migrations={1: to_two},
        back={1: to_one},
        warn=(said if said is not None else []).append,
    )


def test_with_a_way_back_the_old_program_finds_what_was_set_in_the_new_one(tmp_path: Path) -> None:
    open_one(tmp_path).replace(One(7))
    open_both_ways(tmp_path).replace(Two(50, "red"))
    assert open_one(tmp_path).value == One(5)
    assert open_both_ways(tmp_path).value == Two(50, "red"), "the newer form wins, not the copy"
    open_one(tmp_path).replace(One(2))
    assert open_both_ways(tmp_path).value == Two(20)


def test_a_way_back_leads_over_several_schemas_as_far_as_it_is_declared(tmp_path: Path) -> None:
    def grow(data: dict[str, Any]) -> dict[str, Any]:
        return data

    open_one(tmp_path).replace(One(7))
    three: State[Two] = State(
        tmp_path, "lamp", Two, default=Two(), schema=3,
        migrations={1: to_two, 2: grow}, back={2: grow},
    )  # fmt: skip
    three.replace(Two(30))
    assert open_two(tmp_path).value == Two(30)
    assert open_one(tmp_path).value == One(7), "there is no way back to it"


@pytest.mark.parametrize("broken", [{"percent": "x"}, {}], ids=["wrong", "missing"])
def test_a_way_back_that_fails_costs_neither_the_setting_nor_the_old_file(
    tmp_path: Path, broken: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_one(tmp_path).replace(One(7))
    said: list[str] = []
    state = open_both_ways(tmp_path, said)
    monkeypatch.setitem(state._back, 1, lambda data: to_one(broken))
    state.replace(Two(50))
    state.replace(Two(60))
    assert open_two(tmp_path).value == Two(60)
    assert open_one(tmp_path).value == One(7)
    assert len(said) == 1, "told once"
    assert said[0].startswith("lamp: ")


def test_a_migration_that_fails_stops_the_program_and_changes_nothing(tmp_path: Path) -> None:
    def crash(data: dict[str, Any]) -> dict[str, Any]:
        data.clear()
        raise KeyError("colour")

    open_one(tmp_path).replace(One(7))
    before = (tmp_path / "lamp.1.json").read_bytes()
    with pytest.raises(Rejected) as refused:
        State(tmp_path, "lamp", Two, default=Two(), schema=2, migrations={1: crash})
    assert refused.value.reason == "bad-migration"
    assert "schema 1" in refused.value.message
    assert "KeyError" in refused.value.message
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"lamp.1.json": before}


def test_a_migration_whose_result_has_not_the_declared_form_stops_the_program_too(
    tmp_path: Path,
) -> None:
    open_one(tmp_path).replace(One(7))
    before = (tmp_path / "lamp.1.json").read_bytes()
    wrong = {1: lambda data: {"percent": "seventy"}}
    with pytest.raises(Rejected) as refused:
        State(tmp_path, "lamp", Two, default=Two(), schema=2, migrations=wrong)
    assert refused.value.reason == "bad-migration"
    assert (tmp_path / "lamp.1.json").read_bytes() == before


@pytest.mark.parametrize("step", range(12))
def test_a_cut_at_any_step_of_a_change_with_a_way_back_leaves_both_programs_a_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    open_one(tmp_path).replace(One(7))
    new = open_both_ways(tmp_path)
    new.replace(Two(60))
    left = step
    calls = {name: getattr(os, name) for name in ("fsync", "replace", "open")}

    def cutting(name: str) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            return calls[name](*given, **named)

        return call

    for name in calls:
        monkeypatch.setattr(os, name, cutting(name))
    try:
        new.replace(Two(50))
    except KeyboardInterrupt:
        acknowledged = False
    else:
        acknowledged = True
    monkeypatch.undo()
    now, before = open_both_ways(tmp_path), open_one(tmp_path)
    assert now.value in ((Two(50),) if acknowledged else (Two(50), Two(60)))
    assert before.value in ((One(5),) if acknowledged else (One(5), One(6)))
    assert (now.damage, before.damage) == ("", "")
