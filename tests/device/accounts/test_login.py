"""Login, sessions, tokens and known clients, and what guessing does to them."""

import json
import statistics
import time
from datetime import UTC, datetime

import pytest
from tests.device.accounts.conftest import PASSWORD, Desk, login_of, reason_of, run

from limpet.device.accounts import guard, tokens
from limpet.device.link import messages as m


def opened(reply: m.Reply) -> m.SessionOpened:
    assert isinstance(reply, m.SessionOpened), reply
    return reply


def make_token(desk: Desk, token: str, access: m.Access, label: str = "tv") -> m.Reply:
    return run(
        desk.ask(m.CreateToken(token=token, label=label, access=access, lifetime_seconds=600))
    )


def test_the_right_password_opens_a_session_that_survives_a_restart(desk: Desk) -> None:
    desk.claim()
    session = opened(run(desk.ask(login_of(PASSWORD))))
    desk.again()
    assert isinstance(run(desk.ask(m.Authenticate(token=session.token))), m.Principal)


def test_a_wrong_password_and_a_wrong_name_get_the_same_answer(desk: Desk) -> None:
    desk.claim()
    wrong = run(desk.ask(login_of("not the right password", source="192.0.2.7")))
    nobody = run(desk.ask(login_of(PASSWORD, name="nobody", source="192.0.2.8")))
    assert wrong == nobody


def test_a_wrong_name_takes_as_long_as_a_wrong_password(desk: Desk) -> None:
    desk.claim()

    def took(name: str, number: int) -> float:
        """Of the processor, all threads: what else the machine does is none of it."""
        begun = time.process_time()
        run(desk.ask(login_of(f"wrong guess number {number}", name=name, source=f"s{number}")))
        return time.process_time() - begun

    both = [(took("owner", number), took("nobody", 100 + number)) for number in range(8)]
    known, unknown = (statistics.median(one) for one in zip(*both, strict=True))
    assert 0.3 < known / unknown < 3


def test_a_guess_that_comes_too_early_is_not_even_hashed(desk: Desk) -> None:
    desk.claim()
    for number in range(3):
        run(desk.ask(login_of(f"wrong guess number {number}")))
    begun = time.process_time()
    for number in range(200):
        assert reason_of(run(desk.ask(login_of(f"early guess {number}")))) == "throttled"
    assert (time.process_time() - begun) / 200 < 0.01


def test_even_the_right_password_is_refused_while_the_delay_runs(desk: Desk) -> None:
    desk.claim()
    for number in range(3):
        run(desk.ask(login_of(f"wrong guess number {number}")))
    refused = run(desk.ask(login_of(PASSWORD)))
    assert isinstance(refused, m.Refused)
    assert refused.reason == "throttled"
    desk.now += refused.retry_after_seconds
    opened(run(desk.ask(login_of(PASSWORD))))


def test_the_delay_survives_a_crash(desk: Desk) -> None:
    desk.claim()
    for number in range(3):
        run(desk.ask(login_of(f"wrong guess number {number}")))
    desk.again()
    assert reason_of(run(desk.ask(login_of("another guess entirely")))) == "throttled"


def test_a_guess_is_counted_before_it_is_checked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.claim()
    seen = []

    async def crash(work: object, *, known: bool) -> None:
        again = Desk(desk.directory)
        seen.append(again.service.store.records.throttle.cells)
        raise SystemExit

    monkeypatch.setattr(desk.service.worker, "run", crash)
    for number in range(3):
        with pytest.raises(SystemExit):
            run(desk.ask(login_of(f"power is cut at every guess {number}")))
    assert [next(iter(cells.values())).failures for cells in seen] == [1, 2, 3]
    desk.again()
    assert reason_of(run(desk.ask(login_of("guess number four")))) == "throttled"


def test_a_repeated_wrong_guess_is_wrong_again_but_not_counted(desk: Desk) -> None:
    desk.claim()
    for _ in range(50):
        assert reason_of(run(desk.ask(login_of("the same old password")))) == "wrong-credentials"
    opened(run(desk.ask(login_of(PASSWORD))))


def test_the_memory_of_wrong_guesses_is_bounded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "MAX_REMEMBERED_GUESSES", 6)
    desk.claim()
    for number in range(16):
        desk.now += 3600
        run(desk.ask(login_of(f"wrong guess number {number}", source=f"s{number}")))
    assert len(desk.service.guard._wrong) == 6


def test_a_known_client_gets_in_while_strangers_have_spent_everything(desk: Desk) -> None:
    first = desk.claim()
    for number in range(40):
        run(desk.ask(login_of(f"wrong guess number {number}", source=f"s{number}")))
    assert reason_of(run(desk.ask(login_of(PASSWORD, source="new")))) == "throttled"
    again = opened(run(desk.ask(login_of(PASSWORD, source="new", known=first.known))))
    assert again.known == first.known


def test_a_made_up_cookie_makes_nobody_known(desk: Desk) -> None:
    desk.claim()
    for number in range(40):
        run(desk.ask(login_of(f"wrong guess number {number}", source=f"s{number}", known="x" * 43)))
    assert reason_of(run(desk.ask(login_of(PASSWORD, source="new", known="y" * 43)))) == "throttled"


def test_a_session_ends_after_twelve_idle_hours_or_thirty_days(desk: Desk) -> None:
    token = desk.claim().token
    for _ in range(70):  # used every ten hours: 29 days
        desk.now += 10 * 3600
        assert isinstance(run(desk.ask(m.Authenticate(token=token))), m.Principal)
    desk.now += 24 * 3600
    assert reason_of(run(desk.ask(m.Authenticate(token=token)))) == "bad-token"
    token = opened(run(desk.ask(login_of(PASSWORD)))).token
    desk.now += 12 * 3600 + 1
    assert reason_of(run(desk.ask(m.Authenticate(token=token)))) == "bad-token"


def test_sessions_and_known_clients_are_bounded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MAX_SESSIONS", 5)
    monkeypatch.setattr(tokens, "MAX_KNOWN_CLIENTS", 3)
    desk.claim()
    for number in range(9):
        desk.now += 400
        opened(run(desk.ask(login_of(PASSWORD, source=f"s{number}"))))
    records = desk.service.store.records
    assert len(records.tokens) == tokens.MAX_SESSIONS
    assert len(records.known) == tokens.MAX_KNOWN_CLIENTS


def test_logging_out_ends_the_session_at_once_and_for_good(desk: Desk) -> None:
    token = desk.claim().token
    assert isinstance(run(desk.ask(m.Logout(token=token))), m.Done)
    desk.again()
    assert reason_of(run(desk.ask(m.Authenticate(token=token)))) == "bad-token"


def test_a_token_never_has_more_access_than_who_made_it(desk: Desk) -> None:
    owner = desk.claim().token
    made = make_token(desk, owner, m.Access.VIEWER)
    assert isinstance(made, m.Answer)
    viewer = json.loads(made.json)["token"]
    principal = run(desk.ask(m.Authenticate(token=viewer)))
    assert isinstance(principal, m.Principal)
    assert principal.access is m.Access.VIEWER
    assert reason_of(make_token(desk, viewer, m.Access.OWNER)) == "access-too-high"
    assert reason_of(make_token(desk, owner, m.Access.PUBLIC)) == "access-too-high"


def test_tokens_are_listed_without_secrets_revoked_by_id_and_bounded(desk: Desk) -> None:
    owner = desk.claim().token
    made = make_token(desk, owner, m.Access.MEMBER)
    assert isinstance(made, m.Answer)
    new = json.loads(made.json)
    listed = run(desk.ask(m.ListTokens(token=owner)))
    assert isinstance(listed, m.TokenList)
    assert {one.label for one in listed.tokens} == {"session", "tv"}
    assert new["token"] not in str(listed)
    revoke = m.RevokeToken(token=owner, token_id=new["token_id"])
    assert isinstance(run(desk.ask(revoke)), m.Done)
    assert reason_of(run(desk.ask(m.Authenticate(token=new["token"])))) == "bad-token"
    assert reason_of(run(desk.ask(revoke))) == "no-such-token"
    for _ in range(tokens.MAX_API_TOKENS):
        assert isinstance(make_token(desk, owner, m.Access.VIEWER), m.Answer)
    assert reason_of(make_token(desk, owner, m.Access.VIEWER)) == "too-many-tokens"


def test_a_token_ends_at_its_time(desk: Desk) -> None:
    owner = desk.claim().token
    made = make_token(desk, owner, m.Access.VIEWER)
    assert isinstance(made, m.Answer)
    answer = json.loads(made.json)
    assert datetime.fromisoformat(answer["expires_at"]) > datetime.fromtimestamp(desk.now, UTC)
    desk.now += 601
    assert reason_of(run(desk.ask(m.Authenticate(token=answer["token"])))) == "bad-token"


def test_a_changed_password_ends_every_other_session_and_cookie(desk: Desk) -> None:
    first = desk.claim()
    desk.now += 400
    second = opened(run(desk.ask(login_of(PASSWORD))))
    new = "a different phrase now"
    change = m.ChangePassword(token=first.token, old=PASSWORD, new=new, source="192.0.2.1")
    assert isinstance(run(desk.ask(change)), m.Done)
    assert reason_of(run(desk.ask(m.Authenticate(token=second.token)))) == "bad-token"
    assert isinstance(run(desk.ask(m.Authenticate(token=first.token))), m.Principal)
    assert desk.service.store.records.known == ()
    assert reason_of(run(desk.ask(login_of(PASSWORD)))) == "wrong-credentials"
    opened(run(desk.ask(login_of(new))))


def test_a_stolen_session_cannot_guess_the_password_faster_than_a_login(desk: Desk) -> None:
    token = desk.claim().token
    answers = [
        reason_of(
            run(
                desk.ask(
                    m.ChangePassword(
                        token=token, old=f"guess number {n}", new="x" * 5 + PASSWORD, source="s"
                    )
                )
            )
        )
        for n in range(10)
    ]
    assert answers[:3] == ["wrong-credentials"] * 3
    assert set(answers[3:]) == {"throttled"}


def test_a_full_disk_refuses_guesses_instead_of_leaving_them_uncounted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = desk.claim().token
    path = desk.directory / "gone"
    monkeypatch.setattr(desk.service.store, "_path", path / "accounts.json")
    assert reason_of(run(desk.ask(login_of("a wrong password here")))) == "unavailable"
    assert reason_of(run(desk.ask(login_of(PASSWORD)))) == "unavailable"
    assert isinstance(run(desk.ask(m.Authenticate(token=token))), m.Principal)


def test_the_owners_log_tells_of_guesses_but_a_flood_writes_a_line_only(desk: Desk) -> None:
    token = desk.claim().token
    for number in range(500):
        run(desk.ask(login_of(f"wrong guess number {number}", source=f"s{number}")))
    log = run(desk.ask(m.ReadEvents(token=token)))
    assert isinstance(log, m.EventLog)
    events = [json.loads(line)["event"] for line in log.lines]
    assert events.count("login-failed") == 10
    assert events.count("guesses-refused") == 1
