"""The real accounts process: damaged records, the factory's code, a takeover that runs out."""

import json
import time
from pathlib import Path

import pytest
from tests.device.gateway.conftest import PASSWORD, Person, Stand

from limpet.device.link import messages as m
from limpet.device.link.permits import Role


@pytest.mark.parametrize("damage", ["cut", "missing"])
def test_damaged_records_lock_the_accounts_say_so_once_and_stay_as_they_are(
    tmp_path: Path, damage: str
) -> None:
    stand = Stand(tmp_path)
    try:
        stand.mint()
        path = tmp_path / "accounts" / "accounts.json"
        left = path.read_bytes()[:-20]
        path.write_bytes(left) if damage == "cut" else path.unlink()
        for role in (Role.ACCOUNTS, Role.APP, Role.GATEWAY):
            stand.start(role)
        stand.wait_enrolled()
        person = Person(stand)
        body = {"code": stand.code, "name": "owner", "password": PASSWORD}
        for method, where, sent in (
            ("GET", "/v1/identity", None),
            ("POST", "/v1/claim", body),
            ("GET", "/v1/functions", None),
        ):
            status, answer, _ = person.ask(method, where, sent, token="x" * 43)
            assert (status, answer["reason"]) == (503, "accounts-locked")
        assert person.ask("GET", "/.well-known/security.txt")[0] == 200
        said = [line for line in stand.stderr if "accounts are locked" in line]
        assert len(said) == 1
        assert "accounts.json" in said[0]
        assert "restore it" in said[0]
        assert "Traceback" not in "".join(stand.stderr)
        assert [event.event for event in stand.log].count("accounts-locked") == 1
        assert path.exists() is (damage == "cut")
        assert damage == "missing" or path.read_bytes() == left
    finally:
        stand.close()


def test_a_factory_does_not_finish_a_device_with_damaged_records(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    try:
        (tmp_path / "accounts" / "accounts.json").write_bytes(b"{")
        with pytest.raises(AssertionError):
            stand.start(Role.ACCOUNTS, factory=True)
        assert [line for line in stand.stderr if "is damaged" in line]
    finally:
        stand.close()


def test_the_factorys_code_is_made_by_the_real_process_and_kept_as_a_hash(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    try:
        code = stand.mint()
        kept = b"".join(one.read_bytes() for one in (tmp_path / "accounts").iterdir())
        assert kept
        assert code.encode() not in kept
        assert code.replace("-", "").encode() not in kept
    finally:
        stand.close()


def _hasten(root: Path) -> None:
    """The device's own code with an hour of a hundredth of a second, counted every tenth."""
    accounts = root / "slots/a/runtime/limpet/device/accounts"
    for name, slow, quick in (
        ("countdown.py", "TICK_SECONDS = 300.0", "TICK_SECONDS = 0.1"),
        ("role.py", "takeover_wait_hours * 3600.0", "takeover_wait_hours * 0.01"),
    ):
        code = (accounts / name).read_text()
        assert slow in code, name
        (accounts / name).write_text(code.replace(slow, quick))


def test_a_takeover_that_nobody_objects_to_erases_the_device_by_itself(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    try:
        _hasten(tmp_path)
        stand.mint()
        for role in (Role.ACCOUNTS, Role.APP, Role.GATEWAY):
            stand.start(role)
        stand.wait_enrolled()
        owner, finder = Person(stand), Person(stand)
        owner.claim()
        accounts = stand.children[Role.ACCOUNTS].channel
        assert isinstance(stand.on_loop(accounts.call(m.PressButton())), m.Done)
        assert finder.ask("POST", "/v1/takeover", {"code": stand.code})[0] == 202
        end = time.monotonic() + 120
        while not any(isinstance(one, m.EraseData) for one in stand.requests):
            assert time.monotonic() < end, "the wait never ends"
            time.sleep(0.05)
        while owner.ask("GET", "/v1/account")[1]["reason"] == "resetting":
            assert time.monotonic() < end, "nobody was told that it is erased"
            time.sleep(0.05)
        assert owner.ask("GET", "/v1/account")[1]["reason"] in ("bad-token", "unclaimed")
        records = json.loads((tmp_path / "accounts" / "accounts.json").read_bytes())
        assert records["state"] == "unclaimed"
        assert "accounts" not in records
    finally:
        stand.close()
