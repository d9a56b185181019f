"""R2.1, R2.2: a device changes hands by its owner, or by button, label and a wait."""

import json
from pathlib import Path

import pytest
from tests.device.accounts.conftest import (
    OTHER_PASSWORD,
    PASSWORD,
    SOURCE,
    Desk,
    answer_of,
    claim_of,
    login_of,
    reason_of,
)

from limpet.device.accounts.claim import make_code
from limpet.device.accounts.context import BUTTON_SECONDS
from limpet.device.accounts.countdown import TICK_SECONDS
from limpet.device.accounts.ownership import OFFER_SECONDS
from limpet.device.link import messages as m

HOUR = 3600.0
WAIT = 72 * HOUR


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A device with a button."""
    return Desk(tmp_path, button=True)


def state(desk: Desk) -> str:
    return str(answer_of(desk.does(m.DescribeOwnership()))["state"])


def offer(desk: Desk, owner: str, *, erase: bool = True) -> str:
    request = m.OfferTransfer(token=owner, password=PASSWORD, source=SOURCE, erase=erase)
    return str(answer_of(desk.does(request))["code"])


def accept_of(code: str, name: str = "grace", password: str = OTHER_PASSWORD) -> m.AcceptTransfer:
    return m.AcceptTransfer(code=code, name=name, password=password, source="192.0.2.55")


def events(desk: Desk) -> list[str]:
    return [json.loads(line)["event"] for line in desk.service.log.read(500)[0]]


# --- by the owner --------------------------------------------------------------------


@pytest.mark.parametrize("erase", [True, False])
def test_the_next_owner_gets_in_and_everybody_else_is_out_at_that_moment(
    desk: Desk, erase: bool
) -> None:
    owner = desk.claim()
    member = desk.join(desk.invite(owner.token), "ada")
    waiting = desk.invite(owner.token)
    hub = m.CreateToken(token=owner.token, label="hub", access=m.Access.OWNER, lifetime_seconds=600)
    token = answer_of(desk.does(hub))["token"]
    code = offer(desk, owner.token, erase=erase)
    assert isinstance(desk.does(m.Authenticate(token=member.token)), m.Principal)  # until then
    opened = desk.does(accept_of(code))
    assert isinstance(opened, m.SessionOpened), opened
    assert desk.erased == int(erase)
    if erase:  # nobody, the new owner included, sees what must still be erased
        assert reason_of(desk.does(m.Authenticate(token=opened.token))) == "resetting"
        desk.service.ownership.erased()
    principal = desk.does(m.Authenticate(token=opened.token))
    assert isinstance(principal, m.Principal)
    assert (principal.name, principal.access) == ("grace", m.Access.OWNER)
    for old in (owner.token, member.token, token):
        assert reason_of(desk.does(m.Authenticate(token=old))) == "bad-token"
    assert reason_of(desk.does(login_of(PASSWORD, known=owner.known))) == "wrong-credentials"
    invited = m.AcceptInvitation(code=waiting, name="eve", password=PASSWORD, source=SOURCE)
    assert reason_of(desk.does(invited)) == "wrong-code"
    assert ("login" in events(desk) or "claimed" in events(desk)) is not erase
    assert "transferred" in events(desk)


def test_a_transfers_code_counts_once_and_not_for_a_claim(desk: Desk) -> None:
    code = offer(desk, desk.claim().token, erase=False)
    assert reason_of(desk.does(claim_of(code))) == "already-claimed"
    assert isinstance(desk.does(accept_of(code)), m.SessionOpened)
    assert reason_of(desk.does(accept_of(code, "eve"))) == "wrong-code"
    assert state(desk) == "claimed"


def test_a_transfer_that_the_owner_takes_back_opens_nothing(desk: Desk) -> None:
    owner = desk.claim().token
    code = offer(desk, owner)
    again = m.OfferTransfer(token=owner, password=PASSWORD, source=SOURCE)
    assert reason_of(desk.does(again)) == "already-offered"
    assert isinstance(desk.does(m.CancelTransfer(token=owner)), m.Done)
    assert reason_of(desk.does(accept_of(code))) == "wrong-code"
    assert reason_of(desk.does(m.CancelTransfer(token=owner))) == "no-transfer"
    assert state(desk) == "claimed"


@pytest.mark.parametrize("how", ["clock", "running"])
def test_a_transfer_ends_in_its_time_whatever_the_clock_says(desk: Desk, how: str) -> None:
    code = offer(desk, desk.claim().token)
    if how == "clock":
        desk.now += OFFER_SECONDS + 1
    else:
        desk.now -= 1000 * 86400
        desk.service.ownership.tick(OFFER_SECONDS + 1)
        assert state(desk) == "claimed"
        assert events(desk)[-1] == "transfer-expired"
    assert reason_of(desk.does(accept_of(code))) == "wrong-code"
    desk.service.ownership.tick(1)
    assert state(desk) == "claimed"


def test_a_transfer_needs_the_password_and_survives_a_power_cut(desk: Desk) -> None:
    owner = desk.claim().token
    wrong = m.OfferTransfer(token=owner, password="not the password at all", source=SOURCE)
    assert reason_of(desk.does(wrong)) == "wrong-credentials"
    code = offer(desk, owner, erase=False)
    desk.again()
    assert state(desk) == "offered"
    assert isinstance(desk.does(accept_of(code)), m.SessionOpened)


def test_a_guesser_of_transfers_is_slowed_and_learns_not_whether_there_is_one(desk: Desk) -> None:
    desk.claim()
    reasons = [reason_of(desk.does(accept_of(make_code()[0]))) for _ in range(4)]
    assert reasons == ["wrong-code"] * 3 + ["throttled"]


def test_the_next_owners_weak_password_spends_neither_guess_nor_code(desk: Desk) -> None:
    code = offer(desk, desk.claim().token, erase=False)
    for _ in range(5):
        assert reason_of(desk.does(accept_of(code, password="short"))) == "weak-password"
    assert isinstance(desk.does(accept_of(code)), m.SessionOpened)


def test_erasing_that_power_cut_short_is_still_due_and_nobody_gets_in_before(desk: Desk) -> None:
    code = offer(desk, desk.claim().token)
    opened = desk.does(accept_of(code))
    assert isinstance(opened, m.SessionOpened)
    desk.again()
    assert desk.service.records.erase_pending
    assert reason_of(desk.does(m.Authenticate(token=opened.token))) == "resetting"


# --- without the owner ---------------------------------------------------------------


def press(desk: Desk) -> None:
    assert isinstance(desk.does(m.PressButton()), m.Done)


def take_over_of(desk: Desk, code: str = "") -> m.TakeOver:
    return m.TakeOver(code=code or desk.code, source="192.0.2.66")


def contested(desk: Desk) -> m.SessionOpened:
    owner = desk.claim()
    press(desk)
    assert answer_of(desk.does(take_over_of(desk)))["seconds_left"] == WAIT
    return owner


def test_button_and_label_begin_a_wait_and_end_nothing_yet(desk: Desk) -> None:
    owner = contested(desk)
    assert isinstance(desk.does(m.Authenticate(token=owner.token)), m.Principal)
    shown = answer_of(desk.does(m.DescribeOwnership()))
    assert (shown["state"], shown["takeover"]) == ("contested", {"seconds_left": WAIT})
    assert events(desk)[-1] == "takeover-begun"


def test_neither_the_label_nor_the_button_alone_takes_a_device_over(desk: Desk) -> None:
    desk.claim()
    assert reason_of(desk.does(take_over_of(desk))) == "press-the-button"
    press(desk)
    assert reason_of(desk.does(take_over_of(desk, make_code()[0]))) == "wrong-code"
    desk.now += BUTTON_SECONDS + 1
    assert reason_of(desk.does(take_over_of(desk))) == "press-the-button"
    assert state(desk) == "claimed"


def test_a_press_is_forgotten_at_a_restart_and_used_up_by_a_takeover(desk: Desk) -> None:
    owner = contested(desk)
    assert isinstance(desk.does(m.CancelTakeover(token=owner.token)), m.Done)
    assert reason_of(desk.does(take_over_of(desk))) == "press-the-button"
    press(desk)
    desk.again()
    assert reason_of(desk.does(take_over_of(desk))) == "press-the-button"


def test_a_stuck_button_does_not_push_the_owners_log_out(desk: Desk) -> None:
    desk.claim()
    for _ in range(500):
        desk.now += 1
        press(desk)
    assert events(desk).count("button-pressed") == 1
    assert "claimed" in events(desk)


def test_a_product_without_a_button_has_no_takeover(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.claim()
    assert reason_of(desk.does(m.PressButton())) == "no-button"
    assert reason_of(desk.does(take_over_of(desk))) == "press-the-button"


@pytest.mark.parametrize("how", ["click", "login"])
def test_an_owner_who_is_there_ends_a_takeover(desk: Desk, how: str) -> None:
    owner = contested(desk)
    desk.service.ownership.tick(WAIT - 1)
    if how == "click":
        assert isinstance(desk.does(m.CancelTakeover(token=owner.token)), m.Done)
    else:
        assert isinstance(desk.does(login_of(PASSWORD)), m.SessionOpened)
    assert state(desk) == "claimed"
    assert "takeover-cancelled" in events(desk)
    desk.service.ownership.tick(WAIT)
    assert state(desk) == "claimed"
    assert isinstance(desk.does(m.Authenticate(token=owner.token)), m.Principal)


def test_a_member_who_logs_in_ends_no_takeover(desk: Desk) -> None:
    owner = desk.claim()
    desk.join(desk.invite(owner.token), "ada")
    press(desk)
    desk.does(take_over_of(desk))
    assert isinstance(desk.does(login_of(OTHER_PASSWORD, name="ada")), m.SessionOpened)
    assert state(desk) == "contested"


def test_after_the_wait_everything_of_the_owner_is_gone_and_the_label_claims_it(
    desk: Desk,
) -> None:
    owner = contested(desk)
    desk.service.ownership.tick(WAIT - TICK_SECONDS)
    assert state(desk) == "contested"
    desk.service.ownership.tick(TICK_SECONDS)
    assert state(desk) == "resetting"
    assert desk.erased == 1
    assert reason_of(desk.does(claim_of(desk.code))) == "resetting"
    desk.service.ownership.erased()
    assert reason_of(desk.does(m.Authenticate(token=owner.token))) == "bad-token"
    # A photograph of the label is not enough: the hand must be at the device still.
    assert reason_of(desk.does(claim_of(desk.code))) == "press-the-button"
    press(desk)
    assert isinstance(desk.does(claim_of(desk.code, OTHER_PASSWORD)), m.SessionOpened)


def test_power_cuts_and_a_clock_wound_forward_shorten_no_wait(desk: Desk) -> None:
    """The attack: whoever holds the device pulls its plug and feeds it any time."""
    contested(desk)
    for _ in range(500):
        desk.service.ownership.tick(TICK_SECONDS - 1)
        desk.now += 30 * 86400
        desk.again()
    ran = 500 * (TICK_SECONDS - 1)
    left = answer_of(desk.does(m.DescribeOwnership()))["takeover"]["seconds_left"]
    assert left == WAIT - ran
    assert state(desk) == "contested"


def test_a_clock_that_runs_backwards_gives_no_time_back_and_takes_none(desk: Desk) -> None:
    contested(desk)
    desk.service.ownership.tick(-WAIT)
    left = answer_of(desk.does(m.DescribeOwnership()))["takeover"]["seconds_left"]
    assert left == WAIT


def test_a_takeover_and_a_transfer_do_not_run_at_once(desk: Desk) -> None:
    owner = contested(desk)
    request = m.OfferTransfer(token=owner.token, password=PASSWORD, source=SOURCE)
    assert reason_of(desk.does(request)) == "takeover-pending"
    desk.does(m.CancelTakeover(token=owner.token))
    offer(desk, owner.token)
    press(desk)
    assert reason_of(desk.does(take_over_of(desk))) == "already-offered"


# --- an owner whom strangers keep out ------------------------------------------------


def _shut(desk: Desk) -> None:
    for number in range(140):
        desk.now += HOUR
        desk.does(login_of(f"guess number {number} of many", source=f"198.51.100.{number}"))
    assert reason_of(desk.does(login_of(PASSWORD, source="192.0.2.200"))) == "shut"


def test_button_label_and_password_let_an_owner_in_whom_strangers_have_shut_out(
    desk: Desk,
) -> None:
    desk.claim()
    _shut(desk)

    def login(label: str) -> m.Reply:
        return desk.does(
            m.Login(name="owner", password=PASSWORD, source="192.0.2.200", label=label)
        )

    assert reason_of(login(desk.code)) == "press-the-button"
    press(desk)
    assert reason_of(login(make_code()[0])) == "wrong-code"
    assert isinstance(login(desk.code), m.SessionOpened)
    assert isinstance(desk.does(login_of(PASSWORD, source="192.0.2.201")), m.SessionOpened)


def test_button_and_label_do_not_stand_for_the_password(desk: Desk) -> None:
    desk.claim()
    for guess in range(5):
        press(desk)
        request = m.Login(
            name="owner", password=f"guess number {guess}", source=SOURCE, label=desk.code
        )
        reason = reason_of(desk.does(request))
        assert reason == ("wrong-credentials" if guess < 3 else "throttled")


# --- the codes after a reset ---------------------------------------------------------


def reset(desk: Desk, owner: str) -> str:
    reply = desk.does(m.FactoryReset(token=owner, password=PASSWORD, source=SOURCE))
    assert isinstance(reply, m.ClaimCode), reply
    desk.service.ownership.erased()
    return reply.code


def test_a_reset_yields_a_fresh_code_and_seals_the_label(desk: Desk) -> None:
    label = desk.mint()
    fresh = reset(desk, desk.claim().token)
    assert fresh != label
    desk.again()
    assert reason_of(desk.does(claim_of(label))) == "press-the-button"
    assert isinstance(desk.does(claim_of(fresh)), m.SessionOpened)


def test_the_buyer_who_has_the_device_and_its_label_only_gets_in_by_the_button(desk: Desk) -> None:
    label = desk.mint()
    fresh = reset(desk, desk.claim().token)
    press(desk)
    assert isinstance(desk.does(claim_of(label)), m.SessionOpened)
    assert reason_of(desk.does(claim_of(fresh))) == "already-claimed"
    assert desk.service.records.fresh is None


def test_a_fresh_code_dies_with_the_claim(desk: Desk) -> None:
    desk.mint()
    first = reset(desk, desk.claim().token)
    owner = desk.does(claim_of(first))
    assert isinstance(owner, m.SessionOpened)
    second = reset(desk, owner.token)
    assert reason_of(desk.does(claim_of(first))) == "wrong-code"
    assert isinstance(desk.does(claim_of(second)), m.SessionOpened)


def test_without_a_button_the_label_alone_claims_after_a_reset(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    label = desk.mint()
    reset(desk, desk.claim().token)
    assert isinstance(desk.does(claim_of(label)), m.SessionOpened)


def test_the_sealed_label_is_not_told_from_a_wrong_code_faster_than_it_is_guessed(
    desk: Desk,
) -> None:
    """`press-the-button` says that the code is right: so it is counted like any guess."""
    desk.mint()
    reset(desk, desk.claim().token)
    reasons = [reason_of(desk.does(claim_of(make_code()[0]))) for _ in range(4)]
    assert reasons == ["wrong-code"] * 3 + ["throttled"]
