"""Pages as a directory: whole or not at all, never over anything else; `security.txt` signed."""

import json
import os
import shutil
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.gnupg import make_keyring
from tests.vendor.face import audit
from tests.vendor.workshop import MODEL
from typer.testing import CliRunner

from limpet.cli.vendor import app
from limpet.errors import Rejected, Unavailable
from limpet.product import load_product
from limpet.vendor.home import Home
from limpet.vendor.pages import Page, load_contact, replace_site
from limpet.vendor.pages.contact import read_signed, sign_contact, signed_file
from limpet.vendor.pages.records.evidence import evidence_file
from limpet.vendor.pages.site import _dated
from limpet.vendor.pages.writing import MARKER

NOW = datetime.now(UTC).replace(microsecond=0)
URL_HOST = "vendor.example.com"


def site(word: str, count: int = 8) -> dict[str, Page]:
    names = ["index.html", *(f"part/{number}.html" for number in range(count))]
    return {f"/{name}": Page("text/html", word.encode(), name) for name in names}


def run(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["pages", *(str(one) for one in arguments)])
    if code:
        assert done.exit_code != 0 or done.exception is not None
        return str(done.exception)
    assert done.exit_code == 0, done.output
    return done.stdout


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


# --- the directory


def test_a_new_site_takes_the_place_of_the_old_one_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "site"
    replace_site(site("old", 9), out)
    replace_site(site("new", 3), out)
    assert set(files(out)) == {"index.html", "part/0.html", "part/1.html", "part/2.html", MARKER}
    assert {data for name, data in files(out).items() if name != MARKER} == {b"new"}
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_whoever_reads_while_it_is_replaced_sees_one_whole_site(tmp_path: Path) -> None:
    out, torn, seen = tmp_path / "site", [], set()
    replace_site(site("0"), out)
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                descriptor = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
            except OSError as error:
                torn.append(repr(error))
                continue
            words = set()
            for name in ("index.html", "part/0.html", "part/7.html"):
                try:
                    file = os.open(name, os.O_RDONLY, dir_fd=descriptor)
                except FileNotFoundError:
                    words = set()  # it was replaced meanwhile, and is being taken away
                    break
                words.add(os.read(file, 99))
                os.close(file)
            os.close(descriptor)
            if len(words) > 1:
                torn.append(repr(words))
            seen.update(words)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(1, 9):
            replace_site(site(str(number)), out)
    finally:
        done.set()
        reader.join(20)
    assert torn == []
    assert len(seen) > 1


@pytest.mark.parametrize("kind", ["other files", "a file", "a link"])
def test_what_is_no_site_of_ours_is_never_replaced(tmp_path: Path, kind: str) -> None:
    out, other = tmp_path / "site", tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("ten years of work")
    if kind == "a link":
        out.symlink_to(other)
    elif kind == "a file":
        out.write_text("ten years of work")
    else:
        shutil.copytree(other, out)
    with pytest.raises(Rejected, match="site"):
        replace_site(site("new"), out)
    assert (other / "thesis.txt").read_text() == "ten years of work"
    assert out.read_text() if kind == "a file" else (out / "thesis.txt").exists()
    shutil.rmtree(other)
    replace_site(site("new"), tmp_path / "empty" / "place")


def test_a_write_that_fails_leaves_the_old_site_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "site"
    replace_site(site("old"), out)

    def fail(*arguments: object, **named: object) -> None:
        raise Unavailable("no space left on device")

    monkeypatch.setattr("limpet.vendor.pages.writing.write_site", fail)
    with pytest.raises(Unavailable):
        replace_site(site("new"), out)
    assert (out / "index.html").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_what_a_cut_left_beside_is_taken_away_by_the_next_run(tmp_path: Path) -> None:
    (tmp_path / ".site.0badc0de.part" / "part").mkdir(parents=True)
    replace_site(site("new"), tmp_path / "site")
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


# --- the commands


def test_pages_are_built_with_evidence_and_paper(home: Home, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps(audit(started=f"{NOW:%Y-%m-%dT%H:%M:%SZ}")))
    placed = json.loads(run("evidence", home.root, report, "--json"))
    assert placed["totals"]["fail"] == 1
    built = json.loads(run("build", home.root, "--out", tmp_path / "site", "--json"))
    assert built["models"] == [MODEL]
    found = files(tmp_path / "site")
    assert len(found) == built["pages"] + 1  # and the marker
    assert found["security.pdf"].startswith(b"%PDF")
    assert b"evidence number 7" in found["audit/thermostat.html"]
    designed = load_product(home.product_file).security_contact.expires
    days = [min(designed, (at + timedelta(days=364)).date()) for at in (NOW, datetime.now(UTC))]
    shown = found[".well-known/security.txt"]
    assert any(f"Expires: {day:%Y}".encode() in shown for day in days)
    states = {one["what"]: one["state"] for one in json.loads(run("status", home.root, "--json"))}
    assert states["result of an audit"] == "good"
    assert states["bill of materials of the newest release"] == "missing"


def test_damaged_evidence_stops_a_build_with_one_clear_error(home: Home, tmp_path: Path) -> None:
    out = tmp_path / "site"
    run("build", home.root, "--out", out)
    before = files(out)
    place = evidence_file(home.public, MODEL)
    place.parent.mkdir()
    place.write_bytes(b'{"spec": "limpet-audit-1"')
    assert "thermostat.json" in run("build", home.root, "--out", out, code=1)
    assert files(out) == before
    done = CliRunner().invoke(app, ["pages", "status", str(home.root)])
    assert done.exit_code == 1
    assert "damaged" in done.stdout


def test_a_contact_is_spoken_of_in_time_and_stops_a_build_when_it_is_over(
    home: Home, tmp_path: Path
) -> None:
    design = home.product_file.read_text()
    soon, over = NOW + timedelta(days=59), NOW - timedelta(days=1)
    written = f"expires = {load_product(home.product_file).security_contact.expires}"
    assert written in design
    home.product_file.write_text(design.replace(written, f"expires = {soon:%Y-%m-%d}"))
    built = json.loads(run("build", home.root, "--out", tmp_path / "site", "--json"))
    assert ["soon", f"{soon:%Y-%m-%d}"] in [[one["state"], one["until"]] for one in built["due"]]
    home.product_file.write_text(design.replace(written, f"expires = {over:%Y-%m-%d}"))
    assert "security contact" in run("build", home.root, "--out", tmp_path / "other", code=1)
    assert not (tmp_path / "other").exists()


# --- the signature


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GnuPG's directory with one key without a passphrase."""
    return make_keyring(tmp_path_factory.mktemp("g"), "security@instruments.example.com")


def sign(home: Home, keyring: Path, *, now: datetime = NOW) -> bytes:
    product = load_product(home.product_file)
    address = "security@instruments.example.com"
    contact = sign_contact(product, home.public, host=URL_HOST, now=now, key=address, home=keyring)
    return contact.text


def contact_of(home: Home, now: datetime = NOW) -> tuple[bool, str, bytes]:
    product = load_product(home.product_file)
    found = load_contact(product, home.public, host=URL_HOST, now=now)
    return found.signed, found.fault, found.text


def test_a_signed_contact_is_served_and_verifies_with_gpg(home: Home, keyring: Path) -> None:
    signed = sign(home, keyring)
    assert contact_of(home) == (True, "", signed)
    command = ["gpg", "--homedir", str(keyring), "--verify"]
    assert subprocess.run(command, input=signed, capture_output=True, timeout=150).returncode == 0
    tampered = signed.replace(b"security@", b"attacker@", 1)
    assert subprocess.run(command, input=tampered, capture_output=True, timeout=150).returncode != 0
    assert "Contact: mailto:security@instruments.example.com" in read_signed(signed)


@pytest.mark.parametrize("change", ["text", "before", "after", "twice", "expired", "design"])
def test_a_signed_contact_that_is_stale_or_not_the_designs_is_not_served(
    home: Home, keyring: Path, tmp_path: Path, change: str
) -> None:
    signed, now = sign(home, keyring), NOW
    file = signed_file(home.public)
    if change == "text":
        file.write_bytes(signed.replace(b"mailto:security@", b"mailto:attacker@"))
    elif change == "before":
        file.write_bytes(b"Contact: mailto:attacker@example.org\n" + signed)
    elif change == "after":
        file.write_bytes(signed + b"Contact: mailto:attacker@example.org\n")
    elif change == "twice":
        file.write_bytes(signed + signed)
    elif change == "expired":
        now = NOW + timedelta(days=365)
    else:
        design = home.product_file.read_text()
        home.product_file.write_text(
            design.replace('languages = ["en", "de"]', 'languages = ["en"]')
        )
    is_signed, fault, text = contact_of(home, now)
    assert not is_signed
    assert "security.txt" in fault
    assert b"attacker" not in text
    assert b"PGP" not in text
    if change != "expired":  # that needs another clock
        assert "signature of security.txt" in run(
            "build", home.root, "--out", tmp_path / "s", code=1
        )


def test_a_key_that_gpg_does_not_have_signs_nothing(home: Home, keyring: Path) -> None:
    product = load_product(home.product_file)
    with pytest.raises(Rejected) as refused:
        sign_contact(
            product, home.public, host=URL_HOST, now=NOW, key="nobody@example.org", home=keyring
        )
    assert refused.value.reason == "not-signed"
    assert not signed_file(home.public).exists()


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ("until 2031-12-31.", "until <time>2031-12-31</time>."),
        ("at 2026-11-28T10:00:00Z", "at <time>2026-11-28T10:00:00Z</time>"),
        ("<b>2026-11-28</b>", "&lt;b&gt;<time>2026-11-28</time>&lt;/b&gt;"),
        ("2026-13-45", "2026-13-45"),
        ("EX-2026-11-28", "EX-2026-11-28"),
        ("2026-11-28-rc1", "2026-11-28-rc1"),
        ("CVE-2026-10001", "CVE-2026-10001"),
    ],
)
def test_a_date_is_written_as_one_and_nothing_else_is(words: str, written: str) -> None:
    assert _dated(words) == written
