"""R2.2: one-time codes: the standard's own vectors, each code once, and a clock that is wrong."""

import asyncio
import base64
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from tests.device.accounts.conftest import (
    BUILT_AT,
    PASSWORD,
    SOURCE,
    Desk,
    answer_of,
    login_of,
    reason_of,
)

from limpet.device.accounts.factors import ENROL_SECONDS, MAX_WRONG_FIRST_CODES
from limpet.device.accounts.second_factor import (
    RECOVERY_CODES,
    STEP_SECONDS,
    one_time_code,
    verify_code_of,
)
from limpet.device.accounts.store import FILE
from limpet.device.link import messages as m
from limpet.errors import Rejected

# RFC 6238, appendix B: the seed is the ASCII digits repeated to the length of the digest.
VECTORS = [
    (59, "94287082", "46119246", "90693936"),
    (1111111109, "07081804", "68084774", "25091201"),
    (1111111111, "14050471", "67062674", "99943326"),
    (1234567890, "89005924", "91819424", "93441116"),
    (2000000000, "69279037", "90698825", "38618901"),
    (20000000000, "65353130", "77737706", "47863826"),
]


@pytest.mark.parametrize(("time", "sha1", "sha256", "sha512"), VECTORS)
def test_the_vectors_of_rfc_6238_hold(time: int, sha1: str, sha256: str, sha512: str) -> None:
    digits = b"1234567890" * 7
    for digest, length, wanted in (
        ("sha1", 20, sha1), ("sha256", 32, sha256), ("sha512", 64, sha512),
    ):  # fmt: skip
        step = time // STEP_SECONDS
        assert one_time_code(digits[:length], step, digits=8, digest=digest) == wanted


@pytest.mark.parametrize(
    ("drift", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_a_code_counts_one_step_before_and_after_and_no_further(drift: int, taken: bool) -> None:
    secret, now = b"k" * 20, 50_000
    code = one_time_code(secret, now + drift)
    if taken:
        step = verify_code_of(secret, code, last_step=0, wall=now * STEP_SECONDS + 7)
        assert step == now + drift
    else:
        with pytest.raises(Rejected):
            verify_code_of(secret, code, last_step=0, wall=now * STEP_SECONDS + 7)


class Phone:
    """An authenticator app, enrolled over the service."""

    def __init__(self, desk: Desk, token: str, password: str = PASSWORD) -> None:
        self.desk = desk
        begun = answer_of(
            desk.does(m.BeginSecondFactor(token=token, password=password, source=SOURCE))
        )
        self.uri = begun["uri"]
        self.secret = base64.b32decode(begun["secret"].replace(" ", ""))
        made = answer_of(desk.does(m.ConfirmSecondFactor(token=token, code=self.code())))
        self.recovery = made["recovery_codes"]
        desk.now += STEP_SECONDS

    def code(self, ahead: int = 0) -> str:
        return one_time_code(self.secret, int(self.desk.now // STEP_SECONDS) + ahead)


def login(desk: Desk, second: str = "", *, known: str = "", source: str = "192.0.2.9") -> m.Reply:
    return desk.does(
        m.Login(name="owner", password=PASSWORD, source=source, known=known, second=second)
    )


def test_a_stranger_needs_the_code_and_a_known_client_does_not(desk: Desk) -> None:
    opened = desk.claim()
    phone = Phone(desk, opened.token)
    assert reason_of(login(desk)) == "second-factor-needed"
    assert isinstance(login(desk, phone.code()), m.SessionOpened)
    assert isinstance(login(desk, known=opened.known), m.SessionOpened)


def test_a_code_opens_once_even_after_a_power_cut(desk: Desk) -> None:
    phone = Phone(desk, desk.claim().token)
    code = phone.code()
    assert isinstance(login(desk, code), m.SessionOpened)
    assert reason_of(login(desk, code)) == "wrong-second-factor"
    desk.again()
    assert reason_of(login(desk, code)) == "wrong-second-factor"
    assert reason_of(login(desk, phone.code(-1))) == "wrong-second-factor"  # earlier than used


def test_the_enrolments_own_code_opens_nothing(desk: Desk) -> None:
    opened = desk.claim()
    phone = Phone(desk, opened.token)
    desk.now -= STEP_SECONDS
    assert reason_of(login(desk, phone.code())) == "wrong-second-factor"


def test_of_two_logins_with_one_code_at_once_one_gets_in(desk: Desk) -> None:
    phone = Phone(desk, desk.claim().token)
    for second in (phone.code(), phone.recovery[0]):

        async def both(second: str = second) -> list[m.Reply]:
            asked = (
                desk.ask(
                    m.Login(name="owner", password=PASSWORD, source=f"192.0.2.{n}", second=second)
                )
                for n in (1, 2)
            )
            return list(await asyncio.gather(*asked))

        kinds = sorted(type(reply).__name__ for reply in asyncio.run(both()))
        assert kinds == ["Refused", "SessionOpened"]


def test_of_two_recovery_codes_used_at_once_neither_comes_back(desk: Desk) -> None:
    phone = Phone(desk, desk.claim().token)

    async def both() -> list[m.Reply]:
        asked = (
            desk.ask(
                m.Login(
                    name="owner", password=PASSWORD, source=f"192.0.2.{n}",
                    second=phone.recovery[n],
                )
            )
            for n in (1, 2)
        )  # fmt: skip
        return list(await asyncio.gather(*asked))

    assert all(isinstance(reply, m.SessionOpened) for reply in asyncio.run(both()))
    for n in (1, 2):
        assert reason_of(login(desk, phone.recovery[n])) == "wrong-second-factor"


def test_whoever_knows_the_password_guesses_codes_no_faster_by_asking_without(desk: Desk) -> None:
    """The attack: a login without code between two guesses must not wipe out their count."""
    Phone(desk, desk.claim().token)
    checked = 0
    for guess in range(200):
        login(desk)
        checked += reason_of(login(desk, f"{guess:06}")) == "wrong-second-factor"
    assert checked == 3


def test_asking_without_a_code_costs_an_owner_no_try(desk: Desk) -> None:
    phone = Phone(desk, desk.claim().token)
    for _ in range(2):
        assert reason_of(login(desk)) == "second-factor-needed"
        assert reason_of(login(desk, "000000")) == "wrong-second-factor"
        desk.now += STEP_SECONDS
    assert reason_of(login(desk)) == "second-factor-needed"
    assert isinstance(login(desk, phone.code()), m.SessionOpened)


def test_codes_guessed_from_many_addresses_stay_within_the_passwords_bound(desk: Desk) -> None:
    Phone(desk, desk.claim().token)
    checked = sum(
        reason_of(login(desk, f"{guess:06}", source=f"198.51.100.{guess}")) == "wrong-second-factor"
        for guess in range(200)
    )
    assert checked <= 10


def test_a_wrong_password_says_nothing_of_the_second_factor(desk: Desk) -> None:
    Phone(desk, desk.claim().token)
    for second in ("", "123456", "0000-0000-0000-0000"):
        request = m.Login(
            name="owner", password="not the password at all", source="192.0.2.77", second=second
        )
        assert reason_of(desk.does(request)) == "wrong-credentials"


def test_a_recovery_code_opens_once_and_is_kept_as_a_hash(desk: Desk) -> None:
    phone = Phone(desk, desk.claim().token)
    assert len(set(phone.recovery)) == RECOVERY_CODES
    kept = (desk.directory / FILE).read_bytes()
    assert not any(code.replace("-", "").encode() in kept for code in phone.recovery)
    assert isinstance(login(desk, phone.recovery[0].lower()), m.SessionOpened)
    assert reason_of(login(desk, phone.recovery[0])) == "wrong-second-factor"
    token = answer_token(login(desk, phone.recovery[1]))
    account = answer_of(desk.does(m.DescribeAccount(token=token)))
    assert account["recovery_codes"] == RECOVERY_CODES - 2


def answer_token(reply: m.Reply) -> str:
    assert isinstance(reply, m.SessionOpened), reply
    return reply.token


def test_with_a_clock_that_is_certainly_wrong_a_recovery_code_is_the_way_in(desk: Desk) -> None:
    phone = Phone(desk, desk.claim().token)
    desk.now = BUILT_AT - 86400  # as a device that lost its time, before the firmware was built
    desk.again()
    assert reason_of(login(desk, phone.code())) == "clock-wrong"
    assert isinstance(login(desk, phone.recovery[0]), m.SessionOpened)


@pytest.mark.parametrize("at", [0.0, 1.0, 29.0])
def test_at_the_beginning_of_time_nothing_breaks(desk: Desk, at: float) -> None:
    with pytest.raises(Rejected):
        verify_code_of(b"k" * 20, "000000", last_step=-1, wall=at)
    assert one_time_code(b"k" * 20, 0) != "000000"


def test_what_asks_the_password_again_asks_the_code_too(desk: Desk) -> None:
    opened = desk.claim()
    phone = Phone(desk, opened.token)
    token = opened.token
    for kind in (m.FactoryReset, m.OfferTransfer, m.DisableSecondFactor, m.BeginSecondFactor):
        request = kind(token=token, password=PASSWORD, source=SOURCE)
        assert reason_of(desk.does(request)) == "second-factor-needed", kind
        desk.now += 3600
        phone.desk = desk
    changed = m.ChangePassword(
        token=token, old=PASSWORD, new="a kettle below the moss", source=SOURCE
    )
    assert reason_of(desk.does(changed)) == "second-factor-needed"
    desk.now += 3600
    reset = m.FactoryReset(token=token, password=PASSWORD, source=SOURCE, second=phone.code())
    assert isinstance(desk.does(reset), m.ClaimCode)


def test_a_code_that_confirmed_one_act_confirms_no_other(desk: Desk) -> None:
    opened = desk.claim()
    phone = Phone(desk, opened.token)
    code = phone.code()
    offer = m.OfferTransfer(token=opened.token, password=PASSWORD, source=SOURCE, second=code)
    assert isinstance(desk.does(offer), m.Answer)
    reset = m.FactoryReset(token=opened.token, password=PASSWORD, source=SOURCE, second=code)
    assert reason_of(desk.does(reset)) == "wrong-second-factor"


def test_the_factor_is_ended_by_itself_only(desk: Desk) -> None:
    opened = desk.claim()
    phone = Phone(desk, opened.token)
    end = m.DisableSecondFactor(
        token=opened.token, password=PASSWORD, source=SOURCE, second=phone.recovery[3]
    )
    assert isinstance(desk.does(end), m.Done)
    assert isinstance(login(desk), m.SessionOpened)
    again = m.DisableSecondFactor(token=opened.token, password=PASSWORD, source=SOURCE)
    assert reason_of(desk.does(again)) == "no-second-factor"


def test_an_unconfirmed_secret_asks_nobody_and_ends(desk: Desk) -> None:
    token = desk.claim().token
    begin = m.BeginSecondFactor(token=token, password=PASSWORD, source=SOURCE)
    secret = base64.b32decode(answer_of(desk.does(begin))["secret"].replace(" ", ""))
    assert isinstance(login(desk), m.SessionOpened)
    desk.now += ENROL_SECONDS + 1
    code = one_time_code(secret, int(desk.now // STEP_SECONDS))
    late = m.ConfirmSecondFactor(token=token, code=code)
    assert reason_of(desk.does(late)) == "no-enrolment"


def test_the_first_code_cannot_be_guessed(desk: Desk) -> None:
    token = desk.claim().token
    begin = m.BeginSecondFactor(token=token, password=PASSWORD, source=SOURCE)
    secret = base64.b32decode(answer_of(desk.does(begin))["secret"].replace(" ", ""))
    right = one_time_code(secret, int(desk.now // STEP_SECONDS))
    for _ in range(MAX_WRONG_FIRST_CODES):
        wrong = m.ConfirmSecondFactor(token=token, code=str((int(right) + 7) % 10**6).zfill(6))
        assert reason_of(desk.does(wrong)) == "wrong-second-factor"
    reply = desk.does(m.ConfirmSecondFactor(token=token, code=right))
    assert reason_of(reply) == "no-enrolment"


def test_the_uri_is_what_authenticator_apps_read(desk: Desk) -> None:
    phone = Phone(desk, desk.claim().token)
    parts = urlsplit(phone.uri)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert unquote(parts.path) == "/Thermostat TH-A1B2C3D4:owner"
    values = parse_qs(parts.query)
    assert base64.b32decode(values["secret"][0]) == phone.secret
    assert values["issuer"] == ["Thermostat TH-A1B2C3D4"]


def test_another_persons_factor_is_not_ones_own(desk: Desk) -> None:
    owner = desk.claim().token
    member = desk.join(desk.invite(owner), "ada")
    Phone(desk, member.token, "seven quiet lanterns burn")
    assert isinstance(desk.does(login_of(PASSWORD)), m.SessionOpened)
    listed = answer_of(desk.does(m.ListPeople(token=owner)))["people"]
    assert {one["name"]: one["second_factor"] for one in listed} == {"owner": False, "ada": True}
