"""`limpet owner` against a real TLS server: what people type, read, and what is kept."""

import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.owner.conftest import CODE, PASSWORD, SERIAL, Device, Maker, Running

from limpet.cli.main import run
from limpet.errors import Unavailable
from limpet.https.client import HttpsClient
from limpet.owner.store import Store


class Owner:
    """A person at the command line, with a store of their own."""

    def __init__(
        self, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.store, self._patch, self._capsys = store, monkeypatch, capsys
        self.out = self.err = ""

    def types(self, *words: str, stdin: str = "") -> int:
        self._patch.setattr("sys.stdin", io.StringIO(stdin))
        status = run(["owner", *words, "--store", str(self.store)])
        self.out, self.err = self._capsys.readouterr()
        assert "Traceback" not in self.err
        return status


@pytest.fixture
def owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Owner:
    return Owner(tmp_path / "store", monkeypatch, capsys)


@pytest.fixture
def claim(owner: Owner, maker: Maker, root_file: Path) -> Any:
    def do(running: Running, *more: str, label: str | None = None) -> int:
        words = ["claim", running.url, "--label", label or maker.label(), "--root", str(root_file)]
        return owner.types(*words, "--password-stdin", *more, stdin=PASSWORD + "\n")

    return do


@pytest.fixture
def mine(new_device: Any, claim: Any) -> Running:
    running: Running = new_device()
    assert claim(running) == 0
    return running


def test_a_device_is_claimed_by_its_label_and_the_session_is_kept(
    mine: Running, owner: Owner
) -> None:
    record = Store(owner.store).load(SERIAL)
    assert (record.token, record.known) == ("session-token", "known-cookie")
    assert owner.types("list", "--json") == 0
    (listed,) = json.loads(owner.out)
    assert (listed["serial"], listed["logged_in"]) == (SERIAL, True)


def test_the_label_may_stand_in_a_file(
    new_device: Any, claim: Any, maker: Maker, tmp_path: Path
) -> None:
    (tmp_path / "label.txt").write_text(maker.label() + "\n")
    assert claim(new_device(), label=f"@{tmp_path / 'label.txt'}") == 0


def test_a_typed_code_needs_the_serial_and_may_be_written_loosely(
    new_device: Any, owner: Owner, root_file: Path
) -> None:
    running = new_device()
    words = (
        "claim",
        running.url,
        "--code",
        CODE.lower().replace("-", " "),
        "--root",
        str(root_file),
    )
    assert owner.types(*words, "--password-stdin", stdin=PASSWORD + "\n") == 1
    assert "--serial" in owner.err
    assert not running.device.seen
    more = ("--serial", SERIAL.lower(), "--password-stdin")
    assert owner.types(*words, *more, stdin=PASSWORD + "\n") == 0


def test_a_wrong_code_is_one_clear_line_and_nothing_is_remembered(
    new_device: Any, claim: Any, owner: Owner, maker: Maker
) -> None:
    assert claim(new_device(), label=maker.label(code="FFFF-FFFF-FFFF-FFFF")) == 1
    assert owner.err.splitlines()[0] == "limpet: error: the code is wrong"
    assert Store(owner.store).serials() == ()


def test_a_claimed_device_says_so_before_the_code_is_sent(
    new_device: Any, claim: Any, owner: Owner
) -> None:
    running = new_device(device=Device(claimed=True))
    assert claim(running) == 1
    assert "has an owner already" in owner.err
    assert [path for _, path, _ in running.device.seen] == ["/v1/identity"]


def test_a_claim_whose_answer_is_lost_leaves_the_owner_a_way_to_log_in(
    new_device: Any, claim: Any, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = new_device()
    request = HttpsClient.request

    def cut(self: HttpsClient, method: str, path: str, *args: Any, **more: Any) -> Any:
        answer = request(self, method, path, *args, **more)
        if path == "/v1/claim":
            raise Unavailable("the network: gone")
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(HttpsClient, "request", cut)
        assert claim(running) == 3
    assert Store(owner.store).load(SERIAL).token == ""
    assert running.device.claimed
    assert owner.types("login", "--password-stdin", stdin=PASSWORD + "\n") == 0


def test_a_throttled_login_says_how_long_to_wait(mine: Running, owner: Owner) -> None:
    mine.device.throttled = "42"
    assert owner.types("login", "--password-stdin", stdin=PASSWORD + "\n") == 1
    assert "try again in 42 s" in owner.err


def test_a_wrong_password_is_refused_in_words(mine: Running, owner: Owner) -> None:
    assert owner.types("login", "--password-stdin", stdin="wrong\n") == 1
    assert "name or password is wrong" in owner.err


def test_a_login_shows_the_known_cookie_of_the_session_before(mine: Running, owner: Owner) -> None:
    assert owner.types("logout") == 0
    assert Store(owner.store).load(SERIAL).token == ""
    assert owner.types("login", "--password-stdin", stdin=PASSWORD + "\n") == 0
    *_, (_, _, body) = mine.device.seen
    assert body["known"] == "known-cookie"


def test_a_second_computer_logs_in_with_serial_and_root(
    mine: Running, owner: Owner, tmp_path: Path, root_file: Path
) -> None:
    owner.store = tmp_path / "second"
    words = ("login", "--url", mine.url, "--serial", SERIAL, "--root", str(root_file))
    assert owner.types(*words, "--password-stdin", stdin=PASSWORD + "\n") == 0
    assert Store(owner.store).load(SERIAL).model == "thermostat"


def test_no_command_prints_a_secret(mine: Running, owner: Owner) -> None:
    printed = ""
    for words in (["list"], ["list", "--json"], ["status"], ["status", "--json"], ["token", "list"],
                  ["functions"], ["update", "show"], ["events"]):  # fmt: skip
        assert owner.types(*words) == 0, words
        printed += owner.out + owner.err
    for secret in ("session-token", "known-cookie", PASSWORD, CODE, CODE.replace("-", "")):
        assert secret not in printed


def test_status_without_a_session_still_says_who_the_device_is(mine: Running, owner: Owner) -> None:
    assert owner.types("logout") == 0
    assert owner.types("status") == 0
    assert "Example Instruments thermostat A1" in owner.out
    assert "log in to see" in owner.out


def test_functions_are_called_with_typed_arguments(mine: Running, owner: Owner) -> None:
    assert owner.types("call", "temperature") == 0
    assert owner.out == "20.5 °C\n"
    assert owner.types("call", "set_target", "celsius=21.5", "--json") == 0
    assert json.loads(owner.out) == {"celsius": 21.5}
    assert owner.types("call", "rename", "name=123", "--json") == 0
    assert json.loads(owner.out) == {"name": "123"}
    assert owner.types("call", "history", "hours=2", "--json") == 0
    assert json.loads(owner.out) == [{"hours": "2"}]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["call", "explode"], "no function explode"),
        (["call", "set_target", "kelvin=3"], "no argument kelvin"),
        (["call", "set_target", "celsius"], "is not key=value"),
        (["call", "set_target", "celsius=1", "celsius=2"], "given twice"),
        (["update", "policy", "--window", "25:00-26:00"], "no stretch of the day"),
        (["update", "policy", "--days", "sunday"], "are no days"),
        (["update", "network", "--limit", "fast"], "is no limit"),
        (["update", "network", "--limit", "4K"], "is no limit"),
        (["update", "network", "--limit", "2048M"], "is no limit"),
        (["update", "network", "--proxy", "me:secret@proxy:3128"], "this is no proxy"),
        (["update", "network", "--proxy", "proxy"], "this is no proxy"),
        (["update", "network", "--proxy", "proxy:99999"], "this is no proxy"),
        (["update", "network", "--proxy-user", "me"], "a user name of no proxy"),
        (["token", "create", "--label", "x", "--access", "root"], "no access level root"),
        (["status", "--device", "TH-NONE"], "no device TH-NONE is known"),
        (["status", "--url", "http://192.0.2.7"], "not the address of a device"),
        (["reset"], "no terminal"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(
    mine: Running, owner: Owner, words: list[str], said: str
) -> None:
    assert owner.types(*words) == 1
    assert said in owner.err
    assert len(owner.err.splitlines()) <= 2


def test_an_unreachable_device_is_one_clear_line_with_status_3(mine: Running, owner: Owner) -> None:
    assert owner.types("status", "--url", "https://127.0.0.1:1") == 3
    assert f"cannot reach the device {SERIAL} at https://127.0.0.1:1" in owner.err
    assert Store(owner.store).load(SERIAL).url == mine.url  # the old address stays


def test_the_update_policy_changes_only_what_is_given(mine: Running, owner: Owner) -> None:
    words = ("update", "policy", "--manual", "--window", "22:00-06:00", "--days", "sat,sun")
    assert owner.types(*words, "--interval", "3600") == 0
    assert "on your word, 22:00-06:00 UTC on sat,sun" in owner.out
    assert owner.types("update", "policy", "--automatic", "--json") == 0
    assert mine.device.policy == {
        "automatic": True,
        "ask": False,
        "window": {"days": [5, 6], "start_minute": 1320, "end_minute": 360, "zone": "UTC"},
        "interval_seconds": 3600,
    }


def test_what_the_network_costs_and_its_proxy_are_said_and_the_rest_stays(
    mine: Running, owner: Owner
) -> None:
    assert owner.types("update", "policy", "--manual") == 0
    words = ["update", "network", "--metered", "--limit", "256K", "--password-stdin"]
    words += ["--proxy", "proxy.home.arpa:3128", "--proxy-user", "me"]
    assert owner.types(*words, stdin="proxy password\n") == 0, owner.err
    assert "proxy password" not in owner.out
    policy = mine.device.policy
    assert policy["automatic"] is False
    assert (policy["metered"], policy["bandwidth"]) == (True, 256 << 10)
    assert policy["proxy"]["password"] == "proxy password"
    words = ["update", "network", "--unmetered", "--limit", "none", "--proxy", "none"]
    assert owner.types(*words) == 0
    assert "not metered, no limit, no proxy" in owner.out
    assert not {"metered", "bandwidth", "proxy"} & set(mine.device.policy)


def test_a_check_that_restarts_the_device_waits_until_it_answers_again(
    mine: Running, owner: Owner
) -> None:
    mine.device.restart = 3
    assert owner.types("update", "check", "--json") == 0
    assert json.loads(owner.out)["running"] == "1.0.0"
    assert mine.device.absent == 0


def test_a_check_on_a_device_that_stays_away_says_so(
    mine: Running, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limpet.owner.flows.RESTART_SECONDS", 0.5)
    mine.device.restart = 1000
    assert owner.types("update", "check") == 1
    assert "try again later" in owner.err


def test_why_an_update_is_held_is_shown(mine: Running, owner: Owner) -> None:
    assert owner.types("update", "show") == 0
    assert "phase-in: position 73 %, admitted 25 %" in owner.out


def test_the_sentence_since_and_until_are_shown(mine: Running, owner: Owner) -> None:
    mine.device.update = {
        "held": {
            "reason": "outside-window",
            "text": "held: outside window until 02:00 (UTC)",
            "since": "2026-11-27T14:00:00Z",
            "until": "2026-11-28T02:00:00Z",
        },
        "hold_until": "2026-12-27T14:00:00Z",
        "support_notice": "Security updates end on 2026-12-31, in 34 days",
    }
    assert owner.types("update", "show") == 0
    shown = {line[:22].strip(): line[22:].strip() for line in owner.out.splitlines()}
    assert shown["because"] == "held: outside window until 02:00 (UTC)"
    assert {"held since", "held until", "you can hold it until"} <= set(shown)
    assert shown["support"] == "Security updates end on 2026-12-31, in 34 days"


def test_how_far_a_download_is_is_shown(mine: Running, owner: Owner) -> None:
    mine.device.update = {
        "state": "downloading",
        "fetching": {"way": "delta", "done": 1_200_000, "size": 2_100_000},
    }
    assert owner.types("update", "show") == 0
    assert "delta, 1.2 MB of 2.1 MB (57 %)" in owner.out


def test_updates_are_postponed_within_the_products_bound(mine: Running, owner: Owner) -> None:
    assert owner.types("update", "postpone", "7", "--json") == 0
    assert mine.device.postponed == 7
    assert owner.types("update", "postpone", "31") == 1
    assert "for 30 days at most" in owner.err
    assert owner.types("update", "policy", "--ask") == 0
    assert "asks you first" in owner.out
    assert mine.device.policy["ask"] is True
    assert owner.types("update", "policy", "--no-ask") == 0
    assert owner.out.startswith("automatic")


def test_an_api_token_is_shown_once_or_goes_into_a_file(
    mine: Running, owner: Owner, tmp_path: Path
) -> None:
    assert owner.types("token", "create", "--label", "plan", "--access", "member") == 0
    assert owner.out == "api-token\n"
    out = tmp_path / "token"
    assert owner.types("token", "create", "--label", "plan", "--out", str(out)) == 0
    assert "api-token" not in owner.out
    assert out.read_text() == "api-token\n"
    assert out.stat().st_mode & 0o777 == 0o600
    assert owner.types("token", "revoke", "t1") == 0
    assert mine.device.seen[-1][:2] == ("DELETE", "/v1/tokens/t1")


def test_a_token_id_cannot_become_another_path(mine: Running, owner: Owner) -> None:
    owner.types("token", "revoke", "../identity")
    assert all(path != "/v1/identity" for method, path, _ in mine.device.seen if method == "DELETE")


def test_a_password_is_changed_and_never_taken_from_the_arguments(
    mine: Running, owner: Owner
) -> None:
    assert owner.types("password", "--password-stdin", stdin=f"{PASSWORD}\nanother long one\n") == 0
    assert mine.device.seen[-1] == (
        "PUT", "/v1/password", {"old": PASSWORD, "new": "another long one"},
    )  # fmt: skip
    assert owner.types("password") == 1
    assert "--password-stdin" in owner.err


def test_a_reset_needs_the_password_and_then_forgets_the_device(
    mine: Running, owner: Owner
) -> None:
    assert owner.types("reset", "--yes", "--password-stdin", stdin="wrong\n") == 1
    assert Store(owner.store).serials() == (SERIAL,)
    assert owner.types("reset", "--yes", "--password-stdin", stdin=PASSWORD + "\n") == 0
    assert Store(owner.store).serials() == ()


def test_forgetting_is_local(mine: Running, owner: Owner) -> None:
    before = len(mine.device.seen)
    assert owner.types("forget") == 0
    assert len(mine.device.seen) == before
    assert owner.types("status") == 1


def test_a_session_that_ended_says_how_to_go_on(mine: Running, owner: Owner) -> None:
    record = Store(owner.store).load(SERIAL)
    Store(owner.store).save(msgspec.structs.replace(record, token="old"))
    assert owner.types("call", "temperature") == 1
    assert "does not know this session" in owner.err
    assert "limpet owner login" in owner.err


def test_always_means_every_day_unless_days_are_given_with_it(mine: Running, owner: Owner) -> None:
    def days_after(*words: str) -> list[int]:
        assert owner.types("update", "policy", *words, "--json") == 0
        found: list[int] = json.loads(owner.out)["policy"]["window"]["days"]
        return found

    assert days_after("--window", "02:00-05:00", "--days", "sat,sun") == [5, 6]
    assert days_after("--window", "03:00-05:00") == [5, 6], "another window keeps the days"
    assert days_after("--window", "always") == [0, 1, 2, 3, 4, 5, 6]
    assert days_after("--window", "always", "--days", "sat") == [5]
