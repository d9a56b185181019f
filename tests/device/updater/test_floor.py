"""The record of what was seen: it rises, is bounded, and survives damage."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from limpet.device.updater.floor import (
    MAX_WITHDRAWN,
    Floor,
    SeenRole,
    load_floor,
    raise_floor,
    save_floor,
)
from limpet.errors import Rejected

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)  # a Sunday


def test_a_floor_refuses_what_lies_behind_it_and_takes_what_lies_ahead() -> None:
    floor = raise_floor(Floor(time=NOW), roles={"timestamp": SeenRole(7, ("k",))})
    assert (
        raise_floor(floor, roles={"timestamp": SeenRole(8, ("k",))}).roles["timestamp"].version == 8
    )
    with pytest.raises(Rejected) as refused:
        raise_floor(floor, roles={"timestamp": SeenRole(6, ("k",))})
    assert refused.value.reason == "rollback"
    assert raise_floor(floor, roles={"timestamp": SeenRole(1, ("new",))}).roles[
        "timestamp"
    ].keys == ("new",)


def load_made(file: Path, *, version: int, keys: tuple[str, ...] = ("k",)) -> Floor:
    first = {"targets": SeenRole(version, keys)}
    return load_floor(file, built_at=NOW, security_counter=1, first=first)[0]


def test_a_new_device_begins_where_its_factory_was(tmp_path: Path) -> None:
    floor = load_made(tmp_path / "floor.json", version=7)
    with pytest.raises(Rejected) as refused:
        raise_floor(floor, roles={"targets": SeenRole(6, ("k",))})
    assert refused.value.reason == "rollback"
    assert raise_floor(floor, roles={"targets": SeenRole(7, ("k",))}) == floor


def test_what_the_factory_knew_is_behind_what_was_seen_since(tmp_path: Path) -> None:
    file = tmp_path / "floor.json"
    save_floor(file, raise_floor(Floor(time=NOW), roles={"targets": SeenRole(9, ("k",))}))
    assert load_made(file, version=7).roles["targets"].version == 9
    assert load_made(file, version=11).roles["targets"].version == 11
    other = load_made(file, version=11, keys=("old",)).roles["targets"]
    assert (other.version, other.keys) == (9, ("k",)), "the vendor has replaced its keys since"


def test_a_lost_floor_begins_where_the_factory_was(tmp_path: Path) -> None:
    file = tmp_path / "floor.json"
    file.write_bytes(b"\x00")
    assert load_made(file, version=7).roles["targets"].version == 7


def test_time_and_counter_only_rise() -> None:
    floor = raise_floor(Floor(time=NOW, security_counter=4), signed_time=NOW - timedelta(days=9))
    assert (floor.time, floor.security_counter) == (NOW, 4)


def test_withdrawals_are_remembered_up_to_a_bound() -> None:
    floor = Floor(time=NOW)
    for number in range(MAX_WITHDRAWN + 5):
        floor = raise_floor(floor, withdrawn=(f"{number:064x}",))
    assert len(floor.withdrawn) == MAX_WITHDRAWN
    assert floor.withdrawn[-1] == f"{MAX_WITHDRAWN + 4:064x}"
    assert raise_floor(floor, withdrawn=floor.withdrawn[-3:]).withdrawn == floor.withdrawn


def test_a_floor_survives_and_a_damaged_one_is_set_aside(tmp_path: Path) -> None:
    file = tmp_path / "floor.json"
    save_floor(file, Floor(time=NOW, security_counter=3))
    built = NOW - timedelta(days=1)
    assert load_floor(file, built_at=built, security_counter=1)[0].security_counter == 3
    file.write_bytes(b"\x00\x00")
    floor, warning = load_floor(file, built_at=built, security_counter=2)
    assert (floor.time, floor.security_counter) == (built, 2)
    assert "damaged" in warning
    assert (tmp_path / "floor.json.damaged").exists()
