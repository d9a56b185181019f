"""Notes to a real HTTPS server on loopback: once each, tried again, never over what is not TLS."""

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.release.watch.workshop import NOW, Field, advisory

from limpet.crypto.certificates import issue_service, make_root
from limpet.crypto.keys import generate_key, key_to_pem
from limpet.errors import Rejected
from limpet.release.watch import Webhook, make_webhook


class Tracker:
    """A server that takes notes; `answers` are the statuses of the next posts, then 204."""

    def __init__(self, directory: Path) -> None:
        self.notes: list[dict[str, object]] = []
        self.answers: list[int] = []
        root = make_root("Tracker", now=NOW)
        key = generate_key()
        chain = issue_service(root, key, hostnames=("localhost",), addresses=(), now=NOW, days=2)
        (directory / "tracker.key").write_bytes(key_to_pem(key))
        (directory / "tracker.pem").write_bytes(chain)
        self.roots_pem = root.certificate_pem()
        tracker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = tracker.answers.pop(0) if tracker.answers else 204
                if 200 <= status < 300:
                    tracker.notes.append(json.loads(body))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing to the terminal."""

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "tracker.pem", directory / "tracker.key")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def webhook(self, roots_pem: bytes = b"") -> Webhook:
        url = f"https://localhost:{self.server.server_port}/hook"
        roots = roots_pem or self.roots_pem
        return make_webhook(url, roots_pem=roots, sleep=lambda seconds: None)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


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
