"""Dumps from a real HTTPS server on loopback: honest, hostile, slow, or cut off."""

import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ports import held_port
from tests.release.advisories.mirror import Handler, Mirror, begin, length, raw
from tests.release.advisories.records import bring, record, write_zip

from limpet.cli.main import run
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.release.advisories import AdvisoryStore, Bounds, RemoteDump, make_remote_dump

SMALL = Bounds(fetched_bytes=1 << 20)


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    made = Mirror(tmp_path / "mirror")
    yield made
    made.close()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """One that holds an advisory already, alone in its directory."""
    path = tmp_path / "data" / "advisories.sqlite"
    bring(path, write_zip(tmp_path / "old.zip", record("PYSEC-1")))
    return path


def refuse(store: Path, dump: RemoteDump, bounds: Bounds = SMALL) -> LimpetError:
    """The import's error; nothing of the store or beside it is another after it."""
    before, beside = store.read_bytes(), sorted(store.parent.iterdir())
    with pytest.raises((Rejected, Unavailable)) as caught:
        bring(store, dump, bounds=bounds)
    assert store.read_bytes() == before
    assert sorted(store.parent.iterdir()) == beside
    assert str(dump) in caught.value.message
    assert "/proc/" not in str(caught.value)
    return caught.value


def imports(store: Path, mirror: Mirror) -> bool:
    """The positive control: the same server, whole."""
    mirror.serve()
    bring(store, mirror.dump(), bounds=SMALL)
    with AdvisoryStore.open(store) as opened:
        return opened.facts.advisories == 2


def test_a_dump_at_a_url_is_imported_as_a_zip_on_disk_is(
    mirror: Mirror, store: Path, tmp_path: Path
) -> None:
    mirror.serve()
    notes: list[str] = []
    report = bring(store, mirror.dump(), progress=notes.append)
    assert mirror.asked == ["/PyPI/all.zip"]
    assert (report.read, report.added, report.ecosystems) == (2, 1, ("PyPI",))
    assert notes[0] == "connecting"
    local = tmp_path / "local.sqlite"
    assert bring(local, tmp_path / "mirror" / "all.zip").facts.digest == report.facts.digest


@pytest.mark.parametrize("chunked", [False, True])
def test_a_dump_of_unsaid_length_is_imported_too(
    mirror: Mirror, store: Path, chunked: bool
) -> None:
    if chunked:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(mirror.zip), mirror.zip)
        mirror.behave = lambda handler: raw(handler, b"transfer-encoding: chunked", body)
    else:
        mirror.answer(mirror.zip)
    assert bring(store, mirror.dump()).added == 1


def test_progress_is_told_while_a_dump_comes(mirror: Mirror, store: Path) -> None:
    mirror.answer(b"x" * 3_500_000, ("content-length", "3500000"))
    notes: list[str] = []
    with pytest.raises(Rejected, match="no whole ZIP"):
        bring(store, mirror.dump(), progress=notes.append)
    assert len(notes) >= 3
    assert notes[-1].startswith("fetched ")
    assert notes[-1].endswith(" of 4 MB")


def test_a_half_fetched_dump_has_no_name_that_a_killed_process_could_leave(
    mirror: Mirror, store: Path
) -> None:
    seen: list[list[Path]] = []

    def behave(handler: Handler) -> None:
        begin(handler, length(mirror.zip))
        handler.wfile.write(mirror.zip[:50])
        time.sleep(0.2)
        seen.append(sorted(store.parent.iterdir()))
        handler.wfile.write(mirror.zip[50:])

    mirror.behave = behave
    before = sorted(store.parent.iterdir())
    assert bring(store, mirror.dump()).added == 1
    assert seen == [before]


def test_a_server_that_another_root_vouches_for_is_not_believed(
    mirror: Mirror, store: Path
) -> None:
    mirror.serve()
    error = refuse(store, mirror.dump(roots=mirror.others))
    assert isinstance(error, Rejected)
    assert error.reason == "untrusted-server"
    assert mirror.asked == []
    assert imports(store, mirror)


def test_a_server_under_another_name_is_not_believed(mirror: Mirror, store: Path) -> None:
    mirror.serve()
    url = mirror.url.replace("localhost", "127.0.0.1")
    error = refuse(store, make_remote_dump(url, roots_pem=mirror.roots.read_bytes()))
    assert isinstance(error, Rejected)
    assert error.reason == "untrusted-server"
    assert mirror.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://mirror.example/all.zip",
        "ftp://mirror.example/all.zip",
        "file:///etc/passwd",
        "https://",
        "https://user:secret@mirror.example/all.zip",
        "https://@mirror.example/all.zip",
        "https://mirror.example:x/all.zip",
        "https://mirror.example/a b.zip",
        "https://mirror.example/all.zip\r\nx: y",
        "https://mirror.example/all.zip#part",
    ],
)
def test_a_dump_comes_over_plain_https_or_not_at_all(url: str) -> None:
    with pytest.raises(Rejected) as caught:
        make_remote_dump(url, roots_pem=b"")
    assert caught.value.reason == "bad-url"
    assert "secret" not in str(caught.value)
    assert make_remote_dump("https://mirror.example:8443/a?b", roots_pem=b"").path == "/a?b"


def test_what_a_query_may_hold_is_in_no_message(mirror: Mirror, store: Path) -> None:
    mirror.answer(b"", length(b""), status=403)
    dump = make_remote_dump(mirror.url + "?sig=secret", roots_pem=mirror.roots.read_bytes())
    assert "secret" not in str(refuse(store, dump)) + repr(dump)
    assert mirror.asked == ["/PyPI/all.zip?sig=secret"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("to", ["same", "http", "other"])
def test_a_redirect_is_not_followed_wherever_it_leads(
    mirror: Mirror, store: Path, status: int, to: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        where = {
            "same": "/whole.zip",
            "http": f"http://localhost:{port}/all.zip",
            "other": f"https://localhost:{port}/all.zip",
        }[to]
        mirror.answer(b"", ("location", where), length(b""), status=status)
        error = refuse(store, mirror.dump())
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert isinstance(error, Rejected)
    assert error.reason == "redirected"
    assert where in error.message
    assert mirror.asked == ["/PyPI/all.zip"]
    assert imports(store, mirror)


@pytest.mark.parametrize("how", ["length", "chunked", "unsaid"])
def test_a_dump_that_is_cut_in_the_middle_changes_nothing(
    mirror: Mirror, store: Path, how: str
) -> None:
    half = mirror.zip[: len(mirror.zip) // 2]
    if how == "length":
        mirror.answer(half, length(mirror.zip))
    elif how == "unsaid":
        mirror.answer(half)
    else:
        body = b"%x\r\n%s" % (len(mirror.zip), half)
        mirror.behave = lambda handler: raw(handler, b"transfer-encoding: chunked", body)
    error = refuse(store, mirror.dump())
    assert ("no whole ZIP" if how == "unsaid" else "broke its answer off") in error.message
    assert imports(store, mirror)


def test_a_dump_that_drips_runs_out_of_time(mirror: Mirror, store: Path) -> None:
    def drip(handler: Handler) -> None:
        begin(handler, length(mirror.zip))
        for byte in mirror.zip:
            handler.wfile.write(bytes([byte]))
            time.sleep(0.05)

    mirror.behave = drip
    began = time.monotonic()
    error = refuse(store, mirror.dump(seconds=1.0))
    assert "in time" in error.message
    assert 0.9 < time.monotonic() - began < 20
    assert imports(store, mirror)


@pytest.mark.parametrize("begun", [False, True])
def test_a_server_that_falls_silent_runs_out_of_time(
    mirror: Mirror, store: Path, begun: bool
) -> None:
    quiet = threading.Event()

    def behave(handler: Handler) -> None:
        if begun:
            begin(handler, length(mirror.zip))
        quiet.wait(10)

    mirror.behave = behave
    error = refuse(store, mirror.dump(seconds=0.7))
    quiet.set()
    assert isinstance(error, Unavailable)
    assert "in time" in error.message


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_without_end_is_given_up_at_the_bound(
    mirror: Mirror, store: Path, chunked: bool
) -> None:
    part = b"x" * 65536

    def behave(handler: Handler) -> None:
        raw(handler, b"transfer-encoding: chunked" if chunked else b"x: y", b"")
        for _ in itertools.repeat(None, 1000):
            handler.wfile.write(b"10000\r\n%s\r\n" % part if chunked else part)
            mirror.sent += len(part)

    mirror.behave = behave
    error = refuse(store, mirror.dump())
    assert isinstance(error, Rejected)
    assert error.reason == "too-large"
    assert mirror.sent < 32 << 20  # of 64 MB: what the kernel buffers, and no more
    assert imports(store, mirror)


def test_a_dump_that_says_it_is_too_large_is_not_begun(mirror: Mirror, store: Path) -> None:
    mirror.answer(b"", ("content-length", str(SMALL.fetched_bytes + 1)))
    error = refuse(store, mirror.dump())
    assert isinstance(error, Rejected)
    assert error.reason == "too-large"
    exact = Bounds(fetched_bytes=len(mirror.zip))
    mirror.serve()
    assert bring(store, mirror.dump(), bounds=exact).added == 1


@pytest.mark.parametrize("status", [204, 403, 404, 500])
def test_an_answer_that_is_no_dump_is_told_by_its_status(
    mirror: Mirror, store: Path, status: int
) -> None:
    mirror.answer(mirror.zip, length(mirror.zip), status=status)
    error = refuse(store, mirror.dump())
    assert isinstance(error, Unavailable)
    assert f"answers {status}" in error.message


def test_a_page_in_the_place_of_a_dump_is_no_zip(mirror: Mirror, store: Path) -> None:
    mirror.answer(b"<html>log in</html>", length(b"<html>log in</html>"))
    assert "is no whole ZIP" in refuse(store, mirror.dump()).message


def test_a_server_that_is_not_there_is_named(mirror: Mirror, store: Path) -> None:
    with held_port() as port:
        url, pem = f"https://localhost:{port}/all.zip", mirror.roots.read_bytes()
        error = refuse(store, make_remote_dump(url, roots_pem=pem))
    assert "cannot reach localhost" in error.message


def test_the_command_takes_a_url_and_the_roots_of_its_server(
    mirror: Mirror,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mirror.serve()
    typed = ["release", "advisories", "--advisories", str(store), "--json", "--import"]
    assert run([*typed, mirror.url]) == 1  # the system knows no such root
    assert "certificate" in capsys.readouterr().err
    assert run([*typed, mirror.url.replace("https", "http"), "--import-roots", "x"]) == 3
    assert "no roots at x" in capsys.readouterr().err
    assert run([*typed, mirror.url.replace("https", "http")]) == 1
    assert "from an https URL only" in capsys.readouterr().err
    assert mirror.asked == []
    assert run([*typed, mirror.url, "--import-roots", str(mirror.roots)]) == 0
    assert json.loads(capsys.readouterr().out)["imported"]["added"] == 1
    monkeypatch.setenv("SSL_CERT_FILE", str(mirror.roots))  # the system's, as OpenSSL finds them
    assert run([*typed, mirror.url]) == 0
    assert len(mirror.asked) == 2
