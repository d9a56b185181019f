"""`limpet release watch` and `limpet advisory` as typed, and what the service shows of it."""

import contextlib
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.release.advisories.mirror import Mirror
from tests.release.watch.workshop import Field, advisory, bill
from tests.vendor.workshop import PRODUCT, running

from limpet.audit import Verdict, load_checks
from limpet.audit.target import Endpoint, Target
from limpet.cli.main import run
from limpet.errors import Unavailable


@pytest.fixture
def place(tmp_path: Path) -> Field:
    made = Field(tmp_path)
    made.publish("1.0.0", "parser@1.0")
    made.run("1.0.0", 1, 2)
    made.learn(advisory(summary="It reads too far.", aliases=["CVE-2026-1234"]))
    return made


def typed(place: Field, *more: str) -> list[str]:
    return ["release", "watch", str(place.home.root), "--advisories", str(place.store), *more]


def test_a_look_shows_what_is_open_and_ends_with_its_status(
    place: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(typed(place)) == 1
    shown = capsys.readouterr().out
    assert "PYSEC-1" in shown
    assert "update parser to 2.0" in shown
    assert "1 open, 0 closed" in shown
    assert run(["release", "watch", str(place.home.root), "--status", "--json"]) == 1
    status = json.loads(capsys.readouterr().out)
    assert status["entries"][0]["entry"]["devices"] == 2
    assert status["entries"][0]["open"] is True
    assert status["conclusive"] is True
    place.store.unlink()
    assert run(typed(place)) == 3
    assert "inconclusive: there is no database" in capsys.readouterr().out


def test_what_no_advisories_are_known_for_is_named_with_what_to_do(
    place: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(typed(place)) == 1
    assert "hint" not in capsys.readouterr().out
    place.publish("1.0.1", sbom=bill("1.0.1", "parser@2.0").replace(b"pkg:pypi", b"pkg:generic"))
    assert run(typed(place)) == 3
    shown = capsys.readouterr().out
    assert "inconclusive: thermostat 1.0.1: 1 components" in shown
    assert "hint: say in vulnerabilities.toml who watches them, and --product DIR here" in shown


@pytest.mark.parametrize(
    ("day", "said"), [(-9, "nobody has looked for 8 days"), (+2, "in the future")]
)
def test_a_status_of_no_worth_is_inconclusive(
    place: Field, capsys: pytest.CaptureFixture[str], day: int, said: str
) -> None:
    status = ["release", "watch", str(place.home.root), "--status"]
    place.learn(advisory("PYSEC-2", package="nobody"))
    assert run(typed(place)) == 0
    assert run(status) == 0
    database = place.home.online / "watch.sqlite"
    with contextlib.closing(sqlite3.connect(database)) as sql, sql:
        at = datetime.now(UTC) + timedelta(days=day)
        sql.execute("UPDATE look SET at = ?", (at.isoformat(),))
    capsys.readouterr()
    assert run(status) == 3
    shown = capsys.readouterr().out
    assert "inconclusive: " in shown
    assert said in shown


def test_a_status_after_a_look_at_half_the_truth_says_so(
    place: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    place.store.unlink()
    assert run(typed(place)) == 3
    capsys.readouterr()
    assert run(["release", "watch", str(place.home.root), "--status"]) == 3
    assert "could not look at everything" in capsys.readouterr().out


def test_a_dump_is_brought_in_before_the_look(
    place: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    place.store.unlink()
    assert run(typed(place, "--import", str(place.directory / "dump1"))) == 1
    assert "PYSEC-1" in capsys.readouterr().out


def test_a_dump_at_a_url_is_brought_in_before_the_look_too(
    place: Field, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place.store.unlink()
    mirror = Mirror(tmp_path / "mirror", advisory())
    try:
        mirror.serve()
        assert run(typed(place, "--import", mirror.url)) == 1
        assert "does not hold" in capsys.readouterr().err
        assert not place.store.exists()
        assert run(typed(place, "--import", mirror.url, "--import-roots", str(mirror.roots))) == 1
    finally:
        mirror.close()
    assert "PYSEC-1" in capsys.readouterr().out


def test_a_statement_in_the_product_s_directory_excuses_as_it_does_for_the_gate(
    place: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    product = place.directory / "product"
    shutil.copytree(PRODUCT, product)
    now = datetime.now(UTC)
    document = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "author": "security team",
        "timestamp": f"{now - timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}",
        "statements": [
            {
                "vulnerability": {"name": "PYSEC-1"},
                "status": "not_affected",
                "justification": "vulnerable_code_not_present",
                "status_notes": f"limpet:expires={now + timedelta(days=30):%Y-%m-%d}",
                "products": [{"@id": "pkg:pypi/parser@1.0"}],
            }
        ],
    }
    (product / "vex").mkdir()
    (product / "vex" / "one.json").write_text(json.dumps(document))
    assert run(typed(place)) == 1
    assert run(typed(place, "--product", str(product))) == 0
    assert "excused" in capsys.readouterr().out


def test_a_status_before_any_look_says_what_to_do(
    place: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["release", "watch", str(place.home.root), "--status"]) == 3
    assert "limpet release watch" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more",
    [("--webhook", "http://x.example/"), ("--vex", "nowhere.json"), ("--product", "nowhere")],
)
def test_a_wrong_option_looks_at_nothing(place: Field, more: tuple[str, str]) -> None:
    assert run(typed(place, *more)) in (1, 3)
    assert not place.database.exists()


def test_the_service_goes_on_looking_and_ends_when_it_is_told_to(place: Field) -> None:
    command = [sys.executable, "-m", "limpet", *typed(place, "--every", "0.01", "--json")]
    missing = ["--import", str(place.directory / "gone")]
    process = subprocess.Popen(
        [*command, *missing], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert [one["entry"]["advisory"] for one in first["entries"]] == ["PYSEC-1"]
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert "not imported" in errors
    assert place.record().every_hours == 0.01


def audit(place: Field, port: int, statement: str) -> Verdict:
    target = Target(
        vendor=Endpoint("localhost", port),
        service_root_pem=(place.home.trust / "service-root.pem").read_bytes(),
        vendor_dir=place.home.root,
        now=lambda: datetime.now(UTC),
    )
    return load_checks((statement,))[0].run(target).verdict


def test_the_audit_reads_the_record_from_the_vendor_s_directory_too(place: Field) -> None:
    target = Target(vendor_dir=place.home.root, now=lambda: datetime.now(UTC))
    (check,) = load_checks(("R4d",))
    with pytest.raises(Unavailable, match="no record of a look"):
        check.run(target)
    place.look()
    target = Target(vendor_dir=place.home.root, now=lambda: datetime.now(UTC))
    assert check.run(target).verdict is Verdict.PASS
    place.publish("1.1.0", "parser@2.0")
    target = Target(vendor_dir=place.home.root, now=lambda: datetime.now(UTC))
    assert check.run(target).verdict is Verdict.FAIL  # of which no look knows


def test_the_service_serves_record_and_advisories_and_the_audit_reads_them(
    place: Field, capsys: pytest.CaptureFixture[str]
) -> None:
    product = place.directory / "product"
    shutil.copytree(PRODUCT, product)
    place.look()
    (entry,) = place.look().entries
    named = ["--id", "EX-1", "--vendor", str(place.home.root)]
    assert run(["advisory", "new", str(product), *named, "--open-entry", entry.id]) == 0
    assert run(["advisory", "publish", str(product), *named]) == 0
    capsys.readouterr()
    assert run(["advisory", "list", str(product), "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert listed["vulnerabilities"] == ["CVE-2026-1234"]
    assert (listed["status"], listed["revision"], listed["severity"]) == ("final", "1", "critical")
    with running(place.home) as service:
        client = service.client()
        year = f"{datetime.now(UTC):%Y}"
        for path in (
            "/watch/watch.json",
            "/advisories/index.txt",
            "/advisories/feed.json",
            f"/advisories/{year}/ex-1.json",
            f"/advisories/{year}/ex-1.json.sha256",
            "/.well-known/csaf/provider-metadata.json",
        ):
            assert client.get(path, max_bytes=1 << 20).status == 200, path
        assert client.get("/watch/nothing.json", max_bytes=1 << 20).status == 404
        assert client.get("/advisories/../../online/vendor.json", max_bytes=1 << 20).status >= 400
        assert client.get("/", max_bytes=1 << 20).status == 200
        client.close()
        assert audit(place, service.port, "R4d") is Verdict.PASS
        assert audit(place, service.port, "R5.1c") is Verdict.PASS
        (place.home.public / "watch/watch.json").unlink()
        with pytest.raises(Unavailable, match="no look is recorded"):
            audit(place, service.port, "R4f")
