"""Damage to what accounts keeps: it is noticed, said once, and never opens the device."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.device.accounts.conftest import PASSWORD, Desk, login_of

from limpet.device.accounts.events import CURRENT, PREVIOUS, READ_BYTES, ROTATE_BYTES, SecurityLog
from limpet.device.accounts.locked import REQUESTS
from limpet.device.accounts.store import FILE, Store
from limpet.device.link import messages as m
from limpet.errors import Rejected


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"\x00" * 4096,
        b"[]",
        b'{"format":3}',
        b'{"format":1,"state":"unclaimed"}',
        b"x" * (2 << 20),
    ],
)
def test_a_damaged_file_stops_the_role_with_one_line_and_is_left_as_it_is(
    desk: Desk, damage: bytes
) -> None:
    desk.claim()
    path = desk.directory / FILE
    path.write_bytes(damage)
    with pytest.raises(Rejected) as caught:
        Store.load(desk.directory)
    assert caught.value.reason == "damaged-accounts"
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == damage


@pytest.mark.parametrize("state", ["factory", "unclaimed"])
def test_a_claimed_device_cannot_be_reopened_by_editing_one_word(desk: Desk, state: str) -> None:
    desk.claim()
    path = desk.directory / FILE
    document = json.loads(path.read_bytes())
    document["state"] = state
    path.write_text(json.dumps(document))
    with pytest.raises(Rejected, match="contradicts itself"):
        Store.load(desk.directory)


def test_a_missing_file_never_makes_a_device_unclaimed(desk: Desk) -> None:
    desk.claim()
    (desk.directory / FILE).unlink()
    with pytest.raises(Rejected, match="is missing") as caught:
        Store.load(desk.directory)
    assert caught.value.reason == "damaged-accounts"
    assert not (desk.directory / FILE).exists()


def test_the_factory_begins_a_file_without_a_claim_code(desk: Desk) -> None:
    (desk.directory / FILE).unlink(missing_ok=True)
    records = Store.load(desk.directory, fresh=True).records
    assert records.state is m.ClaimState.FACTORY
    assert records.claim is None


def test_locked_accounts_refuse_all_that_open_ones_serve(desk: Desk) -> None:
    assert set(REQUESTS) == set(desk.service.handlers())


FORMAT_1 = Path(__file__).parent / "specimens" / "accounts-format-1.json"


def test_records_of_the_format_before_are_read_with_everybody_in_them(tmp_path: Path) -> None:
    shutil.copy(FORMAT_1, tmp_path / FILE)
    desk = Desk(tmp_path)
    records = desk.service.records
    assert records.state is m.ClaimState.CLAIMED
    assert [one.name for one in records.accounts] == ["owner"]
    assert isinstance(desk.does(login_of(PASSWORD)), m.SessionOpened)


def test_a_reset_that_the_format_before_left_unfinished_is_finished(tmp_path: Path) -> None:
    document = json.loads(FORMAT_1.read_bytes())
    document |= {"state": "unclaimed", "accounts": [], "tokens": [], "known": []}
    (tmp_path / FILE).write_text(json.dumps(document | {"erase_pending": True}))
    desk = Desk(tmp_path)
    assert desk.service.records.state is m.ClaimState.RESETTING
    desk.service.ownership.erased()
    assert desk.service.records.state is m.ClaimState.UNCLAIMED


def test_firmware_of_before_can_read_what_uses_nothing_new(tmp_path: Path) -> None:
    """A trial that fails brings the old firmware back: its owner must still get in."""
    known = set(json.loads(FORMAT_1.read_bytes()))
    desk = Desk(tmp_path)
    owner = desk.claim().token
    written = json.loads((tmp_path / FILE).read_bytes())
    assert set(written) <= known
    assert written.get("format", 1) == 1
    assert set(written["accounts"][0]) == {"name", "access", "phc"}
    desk.invite(owner)
    assert json.loads((tmp_path / FILE).read_bytes())["format"] == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "offered"},
        {"state": "contested"},
        {"state": "resetting"},
        {"takeover": {"seconds": 1, "spent": 0}},
        {"state": "unclaimed", "accounts": [], "invitations": "kept"},
        {"accounts": "twice"},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_records_that_contradict_themselves_lock_the_accounts(
    desk: Desk, changes: dict[str, object]
) -> None:
    owner = desk.claim().token
    desk.invite(owner)
    document = json.loads((desk.directory / FILE).read_bytes())
    if changes.get("accounts") == "twice":
        changes = {"accounts": document["accounts"] * 2}
    if changes.get("invitations") == "kept":
        changes = {**changes, "invitations": document["invitations"]}
    (desk.directory / FILE).write_text(json.dumps(document | changes))
    with pytest.raises(Rejected, match="contradicts itself"):
        Store.load(desk.directory)


def log_of(path: Path) -> SecurityLog:
    return SecurityLog(path, lambda: datetime(2026, 1, 1, tzinfo=UTC))


def events_of(log: SecurityLog) -> list[str]:
    return [json.loads(line)["event"] for line in log.read(500)[0]]


def test_the_log_goes_on_over_restarts_as_one_chain(tmp_path: Path) -> None:
    for number in range(3):
        log_of(tmp_path).append(f"event-{number}")
    assert events_of(log_of(tmp_path)) == ["event-0", "event-1", "event-2"]


@pytest.mark.parametrize("how", ["changed", "removed", "inserted"])
def test_a_log_that_was_tampered_with_says_so_at_the_next_start(tmp_path: Path, how: str) -> None:
    log = log_of(tmp_path)
    for number in range(5):
        log.append("login-failed", f"from {number}")
    path = tmp_path / CURRENT
    lines = path.read_bytes().splitlines(keepends=True)
    if how == "changed":
        lines[2] = lines[2].replace(b"from 2", b"from 9")
    elif how == "removed":
        del lines[2]
    else:
        lines.insert(2, lines[1])
    path.write_bytes(b"".join(lines))
    assert events_of(log_of(tmp_path))[-1] == "log-broken"


def test_a_line_torn_by_a_power_cut_is_cut_off_without_alarm(tmp_path: Path) -> None:
    log = log_of(tmp_path)
    log.append("one")
    with (tmp_path / CURRENT).open("ab") as file:
        file.write(b'{"number":2,"at":"2026')
    again = log_of(tmp_path)
    again.append("two")
    assert events_of(log_of(tmp_path)) == ["one", "two"]


def test_the_log_is_bounded_and_the_chain_goes_over_the_rotation(tmp_path: Path) -> None:
    log = log_of(tmp_path)
    for number in range(120):
        log.append("event", f"{number} " + "x" * 4000)
    sizes = [(tmp_path / name).stat().st_size for name in (CURRENT, PREVIOUS)]
    assert max(sizes) <= ROTATE_BYTES
    assert "log-broken" not in events_of(log_of(tmp_path))


def test_the_log_is_read_page_by_page_without_a_gap(tmp_path: Path) -> None:
    log = log_of(tmp_path)
    for number in range(1, 24):
        log.append(f"event-{number}")
    seen: list[int] = []
    more = True
    while more:
        lines, more = log.read(5, after=seen[-1] if seen else 0)
        seen += [json.loads(line)["number"] for line in lines]
    assert seen == list(range(1, 24))
    assert log.read(5, after=23) == ((), False)
    assert log.read(5, after=99) == ((), False)
    assert [json.loads(line)["number"] for line in log.read(3)[0]] == [21, 22, 23]


def test_a_page_after_what_was_rotated_away_begins_with_the_oldest_kept(tmp_path: Path) -> None:
    log = log_of(tmp_path)
    for number in range(120):
        log.append("event", f"{number} " + "x" * 4000)
    lines, more = log.read(500, after=0)
    first = json.loads(lines[0])["number"]
    assert first > 1
    assert more
    assert sum(map(len, lines)) <= READ_BYTES
    assert json.loads(log.read(500, after=first)[0][0])["number"] == first + 1
