"""R2.2: people besides the owner: invited once, with no more access than they were given."""

import asyncio

import msgspec
import pytest
from tests.device.accounts.conftest import (
    OTHER_PASSWORD,
    SOURCE,
    Desk,
    answer_of,
    login_of,
    reason_of,
)

from limpet.device.accounts.people import INVITATION_SECONDS, MAX_INVITATIONS, MAX_PEOPLE
from limpet.device.link import messages as m


def join_of(code: str, name: str = "ada", password: str = OTHER_PASSWORD) -> m.AcceptInvitation:
    return m.AcceptInvitation(code=code, name=name, password=password, source=SOURCE)


def access_of(desk: Desk, token: str) -> m.Access:
    principal = desk.does(m.Authenticate(token=token))
    assert isinstance(principal, m.Principal), principal
    return principal.access


def names(desk: Desk, owner: str) -> list[str]:
    return [one["name"] for one in answer_of(desk.does(m.ListPeople(token=owner)))["people"]]


@pytest.mark.parametrize("access", [m.Access.VIEWER, m.Access.MEMBER])
def test_an_invitation_gives_the_access_that_it_was_made_for(desk: Desk, access: m.Access) -> None:
    owner = desk.claim().token
    opened = desk.join(desk.invite(owner, access), "ada")
    assert opened.access is access
    assert access_of(desk, opened.token) is access
    assert names(desk, owner) == ["owner", "ada"]


def test_an_invitations_code_counts_once(desk: Desk) -> None:
    code = desk.invite(desk.claim().token)
    desk.join(code, "ada")
    assert reason_of(desk.does(join_of(code, "eve"))) == "wrong-code"


def test_of_two_who_use_one_code_at_once_one_gets_in(desk: Desk) -> None:
    code = desk.invite(desk.claim().token)

    async def both() -> list[m.Reply]:
        asked = (desk.ask(join_of(code, "ada")), desk.ask(join_of(code, "eve")))
        return list(await asyncio.gather(*asked))

    kinds = sorted(type(reply).__name__ for reply in asyncio.run(both()))
    assert kinds == ["Refused", "SessionOpened"]


def test_an_invitation_ends_in_its_time_by_the_clock_and_by_running(desk: Desk) -> None:
    owner = desk.claim().token
    by_clock = desk.invite(owner)
    desk.now += INVITATION_SECONDS + 1
    assert reason_of(desk.does(join_of(by_clock))) == "wrong-code"
    owner = _again(desk)
    by_running = desk.invite(owner)
    desk.now -= 400 * 86400  # the clock is set back: that keeps no invitation alive
    desk.service.ownership.tick(INVITATION_SECONDS + 1)
    assert reason_of(desk.does(join_of(by_running))) == "wrong-code"


def _again(desk: Desk) -> str:
    opened = desk.does(login_of("violet anchors drift slowly"))
    assert isinstance(opened, m.SessionOpened)
    return opened.token


def test_a_withdrawn_invitation_opens_nothing(desk: Desk) -> None:
    owner = desk.claim().token
    code = desk.invite(owner)
    (waiting,) = answer_of(desk.does(m.ListPeople(token=owner)))["invitations"]
    withdraw = m.WithdrawInvitation(token=owner, invitation_id=waiting["invitation_id"])
    assert isinstance(desk.does(withdraw), m.Done)
    assert reason_of(desk.does(join_of(code))) == "wrong-code"
    assert reason_of(desk.does(withdraw)) == "no-such-invitation"


def test_a_guesser_of_invitations_is_slowed_and_learns_not_whether_there_is_one(desk: Desk) -> None:
    desk.claim()
    assert reason_of(desk.does(join_of("0000-0000-0000-0000"))) == "wrong-code"
    for number in range(2):
        assert reason_of(desk.does(join_of(f"0000-0000-0000-000{number + 1}"))) == "wrong-code"
    assert reason_of(desk.does(join_of("0000-0000-0000-0009"))) == "throttled"


def test_a_name_that_is_taken_costs_the_invited_nothing(desk: Desk) -> None:
    code = desk.invite(desk.claim().token)
    for name in ("owner", " owner ", "\uff4fwner"):  # a fullwidth o is the same name
        assert reason_of(desk.does(join_of(code, name))) == "name-taken"
    desk.join(code, "ada")


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 65, "\u202eada"])
def test_a_name_that_could_deceive_is_refused_before_a_guess_is_spent(
    desk: Desk, name: str
) -> None:
    code = desk.invite(desk.claim().token)
    for _ in range(5):
        assert reason_of(desk.does(join_of(code, name))) == "bad-name"
    desk.join(code, "ada")


@pytest.mark.parametrize("access", [m.Access.OWNER, m.Access.PUBLIC])
def test_nobody_is_made_a_second_owner(desk: Desk, access: m.Access) -> None:
    owner = desk.claim().token
    desk.join(desk.invite(owner), "ada")
    for request in (
        m.InvitePerson(token=owner, access=access),
        m.ChangeAccess(token=owner, name="ada", access=access),
    ):
        assert reason_of(desk.does(request)) == "access-too-high"


def test_nobody_raises_the_own_access_nor_touches_the_owners(desk: Desk) -> None:
    owner = desk.claim().token
    member = desk.join(desk.invite(owner), "ada").token
    for request in (
        m.ListPeople(token=member),
        m.InvitePerson(token=member, access=m.Access.VIEWER),
        m.ChangeAccess(token=member, name="ada", access=m.Access.MEMBER),
        m.RemovePerson(token=member, name="owner"),
        m.OfferTransfer(token=member, password=OTHER_PASSWORD, source=SOURCE),
        m.CancelTakeover(token=member),
        m.FactoryReset(token=member, password=OTHER_PASSWORD, source=SOURCE),
        m.ReadEvents(token=member),
    ):
        assert reason_of(desk.does(request)) == "access-too-low", request
    token = m.CreateToken(token=member, label="x", access=m.Access.OWNER, lifetime_seconds=600)
    assert reason_of(desk.does(token)) == "access-too-high"
    for request in (
        m.RemovePerson(token=owner, name="owner"),
        m.ChangeAccess(token=owner, name="owner", access=m.Access.VIEWER),
    ):
        assert reason_of(desk.does(request)) == "not-the-owner"


def test_a_changed_access_counts_from_the_next_request_on_for_tokens_too(desk: Desk) -> None:
    owner = desk.claim().token
    member = desk.join(desk.invite(owner), "ada").token
    made = desk.does(
        m.CreateToken(token=member, label="hub", access=m.Access.MEMBER, lifetime_seconds=600)
    )
    hub = answer_of(made)["token"]
    lowered = m.ChangeAccess(token=owner, name="ada", access=m.Access.VIEWER)
    assert isinstance(desk.does(lowered), m.Done)
    assert access_of(desk, member) is m.Access.VIEWER
    assert access_of(desk, hub) is m.Access.VIEWER


def test_a_raised_access_counts_for_the_person_and_not_for_tokens_made_before(desk: Desk) -> None:
    owner = desk.claim().token
    viewer = desk.join(desk.invite(owner, m.Access.VIEWER), "ada").token
    made = desk.does(
        m.CreateToken(token=viewer, label="tv", access=m.Access.VIEWER, lifetime_seconds=600)
    )
    raised = m.ChangeAccess(token=owner, name="ada", access=m.Access.MEMBER)
    assert isinstance(desk.does(raised), m.Done)
    assert access_of(desk, viewer) is m.Access.MEMBER
    assert access_of(desk, answer_of(made)["token"]) is m.Access.VIEWER


def test_a_removed_person_loses_session_token_and_known_client_at_once(desk: Desk) -> None:
    owner = desk.claim().token
    opened = desk.join(desk.invite(owner), "ada")
    made = desk.does(
        m.CreateToken(token=opened.token, label="hub", access=m.Access.VIEWER, lifetime_seconds=600)
    )
    assert isinstance(desk.does(m.RemovePerson(token=owner, name="ada")), m.Done)
    for token in (opened.token, answer_of(made)["token"]):
        assert reason_of(desk.does(m.Authenticate(token=token))) == "bad-token"
    assert [one.account for one in desk.service.records.known] == ["owner"]
    refused = desk.does(login_of(OTHER_PASSWORD, name="ada", known=opened.known))
    assert reason_of(refused) == "wrong-credentials"
    # Whoever gets the name next is somebody else.
    again = desk.join(desk.invite(owner), "ada", "a kettle below the moss")
    assert again.known != opened.known
    refused = desk.does(login_of(OTHER_PASSWORD, name="ada", known=opened.known))
    assert reason_of(refused) == "wrong-credentials"
    assert isinstance(desk.does(m.Authenticate(token=owner)), m.Principal)


def test_a_program_does_not_decide_about_people(desk: Desk) -> None:
    owner = desk.claim().token
    made = desk.does(
        m.CreateToken(token=owner, label="hub", access=m.Access.OWNER, lifetime_seconds=600)
    )
    hub = answer_of(made)["token"]
    for request in (
        m.InvitePerson(token=hub, access=m.Access.VIEWER),
        m.RemovePerson(token=hub, name="ada"),
        m.OfferTransfer(token=hub, password="violet anchors drift slowly", source=SOURCE),
        m.BeginSecondFactor(token=hub, password="violet anchors drift slowly", source=SOURCE),
    ):
        assert reason_of(desk.does(request)) == "needs-session"


def test_a_token_for_reading_ends_no_session_and_makes_none_that_outlives_it(desk: Desk) -> None:
    owner = desk.claim().token
    made = desk.does(
        m.CreateToken(token=owner, label="tv", access=m.Access.VIEWER, lifetime_seconds=600)
    )
    display = answer_of(made)["token"]
    listed = desk.does(m.ListTokens(token=display))
    assert isinstance(listed, m.TokenList)
    session = next(one for one in listed.tokens if one.label == "session")
    ended = m.RevokeToken(token=display, token_id=session.token_id)
    assert reason_of(desk.does(ended)) == "access-too-low"
    for seconds, reason in ((601, "lifetime-too-long"), (599, "")):
        longer = m.CreateToken(
            token=display, label="x", access=m.Access.VIEWER, lifetime_seconds=seconds
        )
        reply = desk.does(longer)
        assert (reason_of(reply) if reason else type(reply).__name__) == (reason or "Answer")


def test_a_member_sees_and_ends_own_sessions_and_no_one_elses(desk: Desk) -> None:
    owner = desk.claim().token
    member = desk.join(desk.invite(owner), "ada").token
    listed, owners = desk.does(m.ListTokens(token=member)), desk.does(m.ListTokens(token=owner))
    assert isinstance(listed, m.TokenList)
    assert isinstance(owners, m.TokenList)
    assert len(listed.tokens) == len(owners.tokens) == 1
    other = m.RevokeToken(token=member, token_id=owners.tokens[0].token_id)
    assert reason_of(desk.does(other)) == "no-such-token"
    own = m.RevokeToken(token=member, token_id=listed.tokens[0].token_id)
    assert isinstance(desk.does(own), m.Done)


def test_a_changed_password_ends_nobody_elses_sessions(desk: Desk) -> None:
    owner = desk.claim().token
    member = desk.join(desk.invite(owner), "ada").token
    changed = m.ChangePassword(
        token=member, old=OTHER_PASSWORD, new="a kettle below the moss", source=SOURCE
    )
    assert isinstance(desk.does(changed), m.Done)
    assert isinstance(desk.does(m.Authenticate(token=owner)), m.Principal)


def test_people_and_invitations_are_bounded(desk: Desk) -> None:
    owner = desk.claim().token
    for _ in range(MAX_INVITATIONS):
        desk.invite(owner)
    more = m.InvitePerson(token=owner, access=m.Access.VIEWER)
    assert reason_of(desk.does(more)) == "too-many-invitations"
    records = desk.service.records
    extra = tuple(
        msgspec.structs.replace(records.accounts[0], name=f"p{n}", access=m.Access.VIEWER)
        for n in range(MAX_PEOPLE - 1)
    )
    desk.service.store.save(accounts=(*records.accounts, *extra), invitations=())
    assert reason_of(desk.does(more)) == "too-many-people"


def test_one_person_cannot_push_out_the_sessions_of_another(desk: Desk) -> None:
    owner = desk.claim().token
    opened = desk.join(desk.invite(owner), "ada")
    for _ in range(20):
        desk.now += 1
        again = desk.does(login_of(OTHER_PASSWORD, name="ada", known=opened.known))
        assert isinstance(again, m.SessionOpened)
    assert isinstance(desk.does(m.Authenticate(token=owner)), m.Principal)
