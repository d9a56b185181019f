"""Notes to a real HTTPS server on loopback: once each, tried again, never over what is not TLS."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.release.watch.tracker import Tracker
from tests.release.watch.workshop import NOW, Field, advisory

from limpet.crypto.certificates import make_root
from limpet.errors import Rejected
from limpet.https.client import Timeouts
from limpet.release.watch import make_webhook


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    made = Tracker(tmp_path)
    yield made
    made.close()


@pytest.fixture
def place(tmp_path: Path) -> Field:
    made = Field(tmp_path)
    made.publish("1.0.0", "parser@1.0")
    made.run("1.0.0", 1, 2)
    made.learn(advisory(summary="It reads too far."))
    return made


def test_each_new_entry_is_posted_once_with_releases_and_devices(
    tracker: Tracker, place: Field
) -> None:
    place.webhook = tracker.webhook()
    looked = place.look()
    assert looked.undelivered == 0
    (note,) = tracker.notes
    assert note["id"] == looked.entries[0].id
    assert (note["advisory"], note["releases"], note["devices"]) == ("PYSEC-1", ["1.0.0"], 2)
    assert (note["severity"], note["fixable"]) == ("critical", True)
    place.look()
    assert len(tracker.notes) == 1


def test_a_note_that_is_refused_is_tried_again_and_stays_owed_until_it_is_taken(
    tracker: Tracker, place: Field
) -> None:
    place.webhook = tracker.webhook()
    tracker.answers = [500, 503, 302]
    assert place.look().undelivered == 1
    assert tracker.answers == []
    assert tracker.notes == []
    tracker.answers = [500]
    assert place.look().undelivered == 0
    assert len(tracker.notes) == 1


def test_a_note_is_given_up_after_a_bounded_number_of_tries(
    tracker: Tracker, place: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limpet.release.watch._store.MAX_ATTEMPTS", 4)
    place.webhook = tracker.webhook()
    tracker.answers = [500] * 100
    for _ in range(4):
        assert place.look().undelivered == 1
    assert 100 - len(tracker.answers) <= 6  # the third try of the second look was the last


def test_a_server_that_another_root_vouches_for_gets_nothing(
    tracker: Tracker, place: Field
) -> None:
    place.webhook = tracker.webhook(make_root("Somebody else", now=NOW).certificate_pem())
    assert place.look().undelivered == 1
    assert tracker.notes == []
    place.webhook = tracker.webhook()
    place.look()
    assert len(tracker.notes) == 1


def test_a_server_that_is_not_there_fails_no_look(place: Field, tracker: Tracker) -> None:
    hook = tracker.webhook()
    tracker.close()
    place.webhook = hook
    looked = place.look()
    assert (looked.exit_code, looked.undelivered) == (1, 1)


def test_a_server_whose_certificate_is_for_another_name_gets_nothing(
    tracker: Tracker, place: Field
) -> None:
    place.webhook = tracker.webhook(host="127.0.0.1")
    assert place.look().undelivered == 1
    assert tracker.asked == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_the_note_stays_owed(
    tracker: Tracker, place: Field, status: int
) -> None:
    """Whoever answers for the tracker must not choose who learns what is open."""
    place.webhook = tracker.webhook()
    tracker.answers, tracker.location = [status] * 3, tracker.url(path="/elsewhere")
    assert place.look().undelivered == 1
    assert tracker.asked == [("POST", "/hook")] * 3
    assert tracker.notes == []
    assert place.look().undelivered == 0
    assert len(tracker.notes) == 1


@pytest.mark.parametrize("where", ["head", "body"])
def test_a_server_that_takes_a_note_and_hangs_holds_up_no_look(
    tracker: Tracker, place: Field, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """It hangs until the test ends; every try that it was given ended before."""
    monkeypatch.setattr("limpet.release.watch._webhook.TIMEOUTS", Timeouts(connect=60, total=2))
    place.webhook = tracker.webhook()
    tracker.stalls, tracker.answers = where, [200] * 3
    assert place.look().undelivered == 1
    assert len(tracker.asked) <= 3
    monkeypatch.undo()
    tracker.stalls = ""
    looked = place.look()
    assert looked.undelivered == 0
    assert {note["id"] for note in tracker.notes} == {looked.entries[0].id}
    assert len({str(note) for note in tracker.notes}) == 1, "however often it came, it is the same"


def test_a_server_that_never_speaks_tls_holds_up_no_look(
    tracker: Tracker, place: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limpet.release.watch._webhook.TIMEOUTS", Timeouts(connect=1, total=60))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://localhost:{silent.getsockname()[1]}/hook"
        roots = tracker.roots_pem
        place.webhook = make_webhook(url, roots_pem=roots, sleep=lambda seconds: None)
        assert place.look().undelivered == 1


def test_a_note_that_the_server_does_not_want_keeps_no_other_back(
    tracker: Tracker, place: Field
) -> None:
    place.publish("1.1.0", "parser@1.0", "solver@1.0")
    place.learn(advisory(), advisory("PYSEC-2", "solver"))
    place.webhook = tracker.webhook()
    tracker.answers = [413] * 3
    looked = place.look()
    assert len(looked.entries) == 2
    assert looked.undelivered == 1
    assert len(tracker.notes) == 1
    tracker.answers = [503] * 3
    place.look()
    assert len(tracker.asked) == 7, "a server in trouble is left alone after three tries"
    place.look()
    assert {note["advisory"] for note in tracker.notes} == {"PYSEC-1", "PYSEC-2"}
    assert len(tracker.notes) == 2


def test_an_entry_that_is_opened_again_is_told_apart_from_a_note_that_came_twice(
    tracker: Tracker, place: Field
) -> None:
    place.webhook = tracker.webhook()
    place.look()
    place.clock.pass_seconds(60)
    place.learn()
    place.look()  # the advisory is gone
    place.clock.pass_seconds(60)
    place.learn(advisory())
    place.look()
    first, again = tracker.notes
    assert first["id"] == again["id"]
    assert str(first["at"]) < str(again["at"])


@pytest.mark.parametrize(
    "url",
    [
        "http://tracker.example/hook",
        "http://127.0.0.1/hook",
        "https://",
        "https://user:secret@tracker.example/",
        "https://tracker.example/a b",
        "https://tracker.example:x/",
        "https://tracker.example/#part",
        "file:///etc/passwd",
    ],
)
def test_a_webhook_is_plain_https_or_nothing(url: str) -> None:
    with pytest.raises(Rejected) as caught:
        make_webhook(url, roots_pem=b"", sleep=lambda seconds: None)
    assert caught.value.reason == "bad-webhook"
    assert "secret" not in str(caught.value)
