"""Static files: exact ranges, honest caching, and nothing outside the repository."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.https.message import FileBody, Peer, Request, Response
from limpet.vendor.front.static import WHOLE_BYTES, StaticFiles, cache_control, parse_range

BIG = os.urandom(WHOLE_BYTES + 1000)


@pytest.fixture
def files(tmp_path: Path) -> StaticFiles:
    root = tmp_path / "repository"
    (root / "metadata" / "3.releases").mkdir(parents=True)
    (root / "images").mkdir()
    (root / "metadata" / "timestamp.json").write_bytes(b"0123456789")
    (root / "metadata" / "3.releases" / "thermostat.json").write_bytes(b"{}")
    (root / "metadata" / ".timestamp.json.ab12.part").write_bytes(b"unfinished")
    (root / "images" / "big.img").write_bytes(BIG)
    (tmp_path / "secret.pem").write_bytes(b"key")
    (root / "link.json").symlink_to(tmp_path / "secret.pem")
    (root / "out").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    return StaticFiles(root, "/repository/")


def ask(files: StaticFiles, name: str, method: str = "GET", **headers: str) -> Response:
    wanted = {key.replace("_", "-"): value for key, value in headers.items()}
    peer = Peer("127.0.0.1", 1, None, 1)
    return files.answer(Request(method, f"/repository/{name}", {}, wanted, b"", peer))


def content(response: Response) -> bytes:
    body = response.body
    if isinstance(body, FileBody):
        with body.path.open("rb") as file:
            file.seek(body.offset)
            return file.read(body.length)
    return body


def test_a_file_comes_whole_with_its_tag(files: StaticFiles) -> None:
    response = ask(files, "metadata/timestamp.json")
    assert (response.status, content(response)) == (200, b"0123456789")
    assert response.headers["etag"].startswith('"')
    assert response.headers["content-type"] == "application/json"
    assert content(ask(files, "images/big.img")) == BIG


def test_an_unchanged_file_is_not_sent_again_and_a_changed_one_is(files: StaticFiles) -> None:
    tag = ask(files, "metadata/timestamp.json").headers["etag"]
    for header in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        response = ask(files, "metadata/timestamp.json", if_none_match=header)
        assert (response.status, content(response)) == (304, b"")
    path = files.root / "metadata" / "timestamp.json"
    (path.parent / "new").write_bytes(b"9876543210")
    (path.parent / "new").replace(path)
    assert ask(files, "metadata/timestamp.json", if_none_match=tag).status == 200


@pytest.mark.parametrize(
    "name",
    [
        "",
        "metadata",
        "metadata/",
        "metadata/9.root.json",
        "../secret.pem",
        "metadata/../../secret.pem",
        "metadata/..",
        ".",
        "/etc/passwd",
        "metadata//timestamp.json",
        "metadata/.timestamp.json.ab12.part",
        "link.json",
        "out/secret.pem",
        "pipe",
        "metadata/timestamp.json/x",
        "a" * 5000,
        "metadata/\0",
    ],
)
def test_nothing_but_a_published_file_is_served(files: StaticFiles, name: str) -> None:
    response = ask(files, name)
    assert response.status == 404
    assert response.headers["cache-control"] == "no-store"


def test_only_reading_is_allowed(files: StaticFiles) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        response = ask(files, "metadata/timestamp.json", method)
        assert (response.status, response.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=4-", 206, b"456789"),
        ("bytes=9-99", 206, b"9"),
        ("bytes=-3", 206, b"789"),
        ("bytes=-99", 206, b"0123456789"),
        ("bytes=10-", 416, None),
        ("bytes=99-100", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=5-2", 200, b"0123456789"),
        ("bytes=0-1,4-5", 200, b"0123456789"),
        ("bytes=a-b", 200, b"0123456789"),
        ("lines=0-1", 200, b"0123456789"),
        ("bytes=" + "9" * 400 + "-", 200, b"0123456789"),
    ],
)
def test_ranges_are_answered_as_the_standard_says(
    files: StaticFiles, wanted: str, status: int, part: bytes | None
) -> None:
    response = ask(files, "metadata/timestamp.json", range=wanted)
    assert response.status == status
    if part is not None:
        assert content(response) == part
    if status == 416:
        assert response.headers["content-range"] == "bytes */10"


def test_a_range_of_a_file_that_changed_meanwhile_gives_the_whole_new_one(
    files: StaticFiles,
) -> None:
    tag = ask(files, "images/big.img").headers["etag"]
    assert ask(files, "images/big.img", range="bytes=5-9", if_range=tag).status == 206
    assert ask(files, "images/big.img", range="bytes=5-9", if_range='"old"').status == 200


@given(
    data=st.data(),
    size=st.integers(1, 5000),
)
def test_every_satisfiable_range_is_the_slice_that_it_says(data: st.DataObject, size: int) -> None:
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, size + 50))
    assert parse_range(f"bytes={first}-{last}", size) == (first, min(last, size - 1))
    length = data.draw(st.integers(1, size + 50))
    assert parse_range(f"bytes=-{length}", size) == (max(0, size - length), size - 1)


def test_only_names_that_never_change_are_cached_for_good() -> None:
    for name in ("metadata/1.root.json", "metadata/3.releases/thermostat.json", "images/ab.img"):
        assert "immutable" in cache_control(name)
    for name in ("metadata/timestamp.json", "metadata/root.json", "index.html"):
        assert cache_control(name) == "no-cache"
