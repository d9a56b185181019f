"""R2.2.1, R3.1: power fails before any step of any write; what was promised holds."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random

import pytest
from tests.device.accounts.conftest import PASSWORD, Desk, login_of, run
from tests.device.accounts.power import Disk, PowerCut

from limpet.crypto.passwords import PasswordProfile, hash_password, is_current
from limpet.device.accounts import context, service
from limpet.device.accounts.events import SecurityLog
from limpet.device.accounts.throttle import PASSWORD as THROTTLE
from limpet.device.accounts.throttle import most_guesses
from limpet.device.link import messages as m

NEW = "seven quiet lanterns burn"
STEPS = 14  # more than any request takes; a test sees to it
LIVES = 60


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a hash costs is not under test here."""
    cheap = PasswordProfile(memory_kib=32, passes=1, lanes=1)
    monkeypatch.setattr(context, "hash_password", partial(hash_password, profile=cheap))
    monkeypatch.setattr(service, "is_current", partial(is_current, profile=cheap))


class Checks:
    """How many guesses were really compared with the verifier."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count = 0
        real = context.verify_password

        def verify(password: str, phc: str) -> None:
            self.count += 1
            real(password, phc)

        patch.setattr(context, "verify_password", verify)


def counted(desk: Desk) -> int:
    """Failed guesses of strangers that the records tell of."""
    return sum(one.failures for one in desk.service.store.records.throttle.buckets.values())


@pytest.mark.parametrize("lost", [True, False], ids=["what-was-not-synced-is-lost", "all-written"])
def test_no_cut_at_any_step_of_a_guess_gives_a_guess_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    checks, was_cut = Checks(monkeypatch), 0
    for step in range(STEPS):
        directory = tmp_path / str(step)
        directory.mkdir()
        desk = Desk(directory)
        desk.claim()
        with monkeypatch.context() as patch:
            disk, before = Disk(directory, patch), checks.count
            disk.cut_before(step)
            try:
                run(desk.ask(login_of("a guess that is not right", source="192.0.2.7")))
            except PowerCut:
                was_cut += 1
            disk.power_on(lost=lost)
        desk.again()
        assert counted(desk) >= checks.count - before
    assert 4 <= was_cut < STEPS  # the cuts were made, and beyond the last step there is none


def test_a_guesser_who_cuts_the_power_again_and_again_stays_within_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path)
    desk.claim()
    checks, dice = Checks(monkeypatch), Random(7)  # noqa: S311
    disk = Disk(tmp_path, monkeypatch)
    begun, cuts = desk.now, 0
    for life in range(LIVES):
        disk.cut_before(dice.randrange(2 * STEPS))
        try:
            for number in range(12):
                guess = f"guess {number} in life {life} of many"
                run(desk.ask(login_of(guess, source=f"192.0.2.{dice.randrange(250)}")))
        except PowerCut:
            cuts += 1
        disk.power_on(lost=bool(dice.randrange(2)))
        desk.now += 30
        desk.again()
    assert cuts > 5
    assert 10 <= checks.count <= most_guesses(THROTTLE, (desk.now - begun) / 3600)


def _holds_new(desk: Desk, token: str) -> bool:
    verifier = desk.service.store.records.accounts[0].phc
    try:
        context.verify_password(NEW, verifier)
    except Exception:  # any refusal
        return False
    return True


def _has_token(desk: Desk, token: str) -> bool:
    return any(one.label == "hub" for one in desk.service.store.records.tokens)


def _is_logged_out(desk: Desk, token: str) -> bool:
    return not isinstance(run(desk.ask(m.Authenticate(token=token))), m.Principal)


CHANGES: dict[str, tuple[Callable[[str], m.Request], Callable[[Desk, str], bool]]] = {
    "password": (
        lambda token: m.ChangePassword(token=token, old=PASSWORD, new=NEW, source="192.0.2.1"),
        _holds_new,
    ),
    "token": (
        lambda token: m.CreateToken(
            token=token, label="hub", access=m.Access.VIEWER, lifetime_seconds=3600
        ),
        _has_token,
    ),
    "logout": (lambda token: m.Logout(token=token), _is_logged_out),
    "invitation": (
        lambda token: m.InvitePerson(token=token, access=m.Access.MEMBER),
        lambda desk, _: bool(desk.service.records.invitations),
    ),
    "transfer": (
        lambda token: m.OfferTransfer(token=token, password=PASSWORD, source="192.0.2.1"),
        lambda desk, _: desk.service.records.state is m.ClaimState.OFFERED,
    ),
    "reset": (
        lambda token: m.FactoryReset(token=token, password=PASSWORD, source="192.0.2.1"),
        lambda desk, _: desk.service.records.state is m.ClaimState.RESETTING,
    ),
}


@pytest.mark.parametrize("lost", [True, False], ids=["what-was-not-synced-is-lost", "all-written"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_was_acknowledged_outlives_a_cut_at_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, lost: bool
) -> None:
    request, happened = CHANGES[change]
    outcomes = set()
    for step in range(STEPS):
        directory = tmp_path / str(step)
        directory.mkdir()
        desk = Desk(directory)
        token = desk.claim().token
        with monkeypatch.context() as patch:
            disk = Disk(directory, patch)
            disk.cut_before(step)
            acknowledged = True
            try:
                reply = run(desk.ask(request(token)))
                assert not isinstance(reply, m.Refused), reply
            except PowerCut:
                acknowledged = False
            disk.power_on(lost=lost)
        desk.again()  # and so the records are whole
        assert happened(desk, token) or not acknowledged
        outcomes.add((acknowledged, happened(desk, token)))
    assert (True, True) in outcomes
    assert (False, False) in outcomes


def test_a_line_of_the_owners_log_is_on_the_disk_when_it_was_written_even_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path, monkeypatch)
    log = SecurityLog(tmp_path, lambda: datetime(2026, 11, 27, tzinfo=UTC))
    for count in (1, 2):
        log.append("login-failed", "from 192.0.2.7")
        disk.power_on(lost=True)
        log = SecurityLog(tmp_path, lambda: datetime(2026, 11, 27, tzinfo=UTC))
        assert len(log.read(10)[0]) == count
