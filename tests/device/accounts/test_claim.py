"""Ownership: the claim code, its life and death, and the factory reset."""

import asyncio

import pytest
from tests.device.accounts.conftest import PASSWORD, Desk, claim_of, login_of, reason_of, run

from limpet.device.accounts.claim import make_code, verify_code
from limpet.device.accounts.states import TRANSITIONS, Change, next_state
from limpet.device.accounts.store import FILE
from limpet.device.link import messages as m
from limpet.errors import Rejected


def test_only_the_transitions_of_the_table_exist() -> None:
    assert len(TRANSITIONS) == 13
    for state in m.ClaimState:
        for change in Change:
            if (state, change) not in TRANSITIONS:
                with pytest.raises(Rejected):
                    next_state(state, change)


def test_the_labels_code_makes_its_first_user_the_owner(desk: Desk) -> None:
    desk.mint()
    opened = desk.claim()
    assert opened.access is m.Access.OWNER
    principal = run(desk.ask(m.Authenticate(token=opened.token)))
    assert isinstance(principal, m.Principal)
    assert principal.name == "owner"


@pytest.mark.parametrize("shape", ["lower", "spaces", "plain", "misread"])
def test_a_code_may_be_typed_as_people_type(desk: Desk, shape: str) -> None:
    code = desk.mint()
    typed = {
        "lower": code.lower(),
        "spaces": code.replace("-", " "),
        "plain": code.replace("-", ""),
        "misread": code.replace("0", "O").replace("1", "l"),
    }[shape]
    assert isinstance(run(desk.ask(claim_of(typed))), m.SessionOpened)


def test_a_code_is_made_once_in_the_life_of_a_device(desk: Desk) -> None:
    desk.mint()
    assert reason_of(run(desk.ask(m.MintClaimCode()))) == "unclaimed"
    desk.claim()
    assert reason_of(run(desk.ask(m.MintClaimCode()))) == "already-claimed"


def test_a_wrong_code_is_refused_and_counted(desk: Desk) -> None:
    desk.mint()
    for number in range(3):
        wrong = make_code()[0]
        assert reason_of(run(desk.ask(claim_of(wrong)))) == "wrong-code", number
    refused = run(desk.ask(claim_of(make_code()[0])))
    assert isinstance(refused, m.Refused)
    assert refused.reason == "throttled"
    assert refused.retry_after_seconds > 0


def test_the_code_is_dead_once_the_device_is_claimed(desk: Desk) -> None:
    code = desk.mint()
    desk.claim()
    assert reason_of(run(desk.ask(claim_of(code)))) == "already-claimed"
    desk.again()
    assert reason_of(run(desk.ask(claim_of(code)))) == "already-claimed"


def test_of_two_claims_at_once_one_wins(desk: Desk) -> None:
    code = desk.mint()

    async def both() -> list[m.Reply]:
        return list(await asyncio.gather(desk.ask(claim_of(code)), desk.ask(claim_of(code))))

    kinds = sorted(type(reply).__name__ for reply in asyncio.run(both()))
    assert kinds == ["Refused", "SessionOpened"]


def test_a_weak_password_is_refused_before_a_guess_is_spent(desk: Desk) -> None:
    code = desk.mint()
    for _ in range(20):
        assert reason_of(run(desk.ask(claim_of(code, "short")))) == "weak-password"
    assert isinstance(run(desk.ask(claim_of(code))), m.SessionOpened)


def test_a_malformed_code_costs_no_guess(desk: Desk) -> None:
    code = desk.mint()
    for _ in range(20):
        assert reason_of(run(desk.ask(claim_of("no code at all")))) == "malformed-code"
    assert isinstance(run(desk.ask(claim_of(code))), m.SessionOpened)


def test_neither_code_nor_password_nor_token_is_on_the_disk(desk: Desk) -> None:
    code = desk.mint()
    opened = desk.claim()
    run(desk.ask(login_of("a wrong guess of the password")))
    everything = b"".join(path.read_bytes() for path in desk.directory.iterdir())
    for secret in (code, code.replace("-", ""), PASSWORD, opened.token, opened.known):
        assert secret.encode() not in everything
    assert b"a wrong guess" not in everything
    assert oct((desk.directory / FILE).stat().st_mode & 0o777) == "0o600"


def test_before_the_claim_no_login_works(desk: Desk) -> None:
    assert reason_of(run(desk.ask(login_of(PASSWORD)))) == "unclaimed"
    desk.mint()
    assert reason_of(run(desk.ask(login_of(PASSWORD)))) == "unclaimed"


def test_a_device_that_was_never_in_the_factory_cannot_be_claimed(desk: Desk) -> None:
    assert reason_of(run(desk.ask(claim_of(make_code()[0])))) == "not-ready"


def test_a_factory_reset_needs_the_password_and_destroys_accounts(desk: Desk) -> None:
    code = desk.mint()
    opened = desk.claim()
    wrong = m.FactoryReset(token=opened.token, password="not the password", source="192.0.2.1")
    assert reason_of(run(desk.ask(wrong))) == "wrong-credentials"
    assert desk.erased == 0
    right = m.FactoryReset(token=opened.token, password=PASSWORD, source="192.0.2.1")
    assert isinstance(run(desk.ask(right)), m.ClaimCode)
    assert desk.erased == 1
    assert reason_of(run(desk.ask(m.Authenticate(token=opened.token)))) == "resetting"
    assert reason_of(run(desk.ask(login_of(PASSWORD)))) == "unclaimed"
    # Until the owner's data is gone too, nobody takes the device over.
    assert reason_of(run(desk.ask(claim_of(code)))) == "resetting"
    desk.service.ownership.erased()
    assert isinstance(run(desk.ask(claim_of(code))), m.SessionOpened)


def test_a_viewers_token_cannot_reset_the_device(desk: Desk) -> None:
    opened = desk.claim()
    made = run(
        desk.ask(
            m.CreateToken(
                token=opened.token, label="tv", access=m.Access.VIEWER, lifetime_seconds=600
            )
        )
    )
    assert isinstance(made, m.Answer)
    token = __import__("json").loads(made.json)["token"]
    reset = m.FactoryReset(token=token, password=PASSWORD, source="192.0.2.1")
    assert reason_of(run(desk.ask(reset))) == "access-too-low"


def test_the_verifier_takes_its_own_code_only() -> None:
    (code, verifier), (other, _) = make_code(), make_code()
    verify_code(code, verifier)
    with pytest.raises(Rejected, match="not the right code"):
        verify_code(other, verifier)
