"""The vendor's own advisories: drafts, revisions, the public list, and what is refused."""

import csv
import hashlib
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from tests.vendor.workshop import MODEL, NOW, make_manifest

from limpet.errors import Rejected, Unavailable
from limpet.product import PRODUCT_FILE, load_product
from limpet.release.cvss import parse_cvss
from limpet.release.disclosure import (
    Advisory,
    Distribution,
    Order,
    Signer,
    choose_versions,
    draft_advisory,
    encode_advisory,
    file_name,
    find_faults,
    parse_advisory,
    publish_advisory,
    save_draft,
)
from limpet.release.gate._past import load_past

THERMOSTAT = load_product(Path("examples/thermostat") / PRODUCT_FILE)
ID = "EX-2026-001"
VECTOR = "CVSS:3.1/AV:A/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"
TEST = "tests/test_names.py::test_a_long_name_is_refused"


def draft(**changed: object) -> Advisory:
    values: dict[str, object] = {
        "id": ID,
        "title": "A long name ends the app",
        "summary": "Whoever reaches the device can end the app.\nIt starts again.",
        "cves": ("CVE-2026-12345",),
        "affected": ("1.0.0", "1.1.0"),
        "fixed": "1.2.0",
        "score": parse_cvss(VECTOR),
        "tests": (TEST,),
        "host": "vendor.example.com",
    }
    manifest = make_manifest(b"firmware", "1.1.0", sbom="5" * 64)
    order = Order(**(values | changed))  # type: ignore[arg-type]
    return draft_advisory(order, THERMOSTAT, [manifest], now=NOW)


def distribution(
    directory: Path, after_write: Callable[[str], None] = lambda name: None
) -> Distribution:
    return Distribution(
        public=directory / "public", host="vendor.example.com", after_write=after_write
    )


def publish(directory: Path, *, summary: str = "", now: datetime = NOW) -> object:
    place = distribution(directory)
    return publish_advisory(directory / "product", ID, place, summary=summary, now=now)


def verify_list(place: Distribution) -> list[Advisory]:
    """What a client of CSAF would see, held against each other; what is listed is there."""
    root = place.root
    if not (root / "index.txt").exists():
        return []
    listed = (root / "index.txt").read_text().split()
    with (root / "changes.csv").open(newline="") as file:
        changes = dict(csv.reader(file))
    assert set(listed) <= set(changes)
    feed = json.loads((root / "feed.json").read_bytes())["feed"]
    sources = {one["content"]["src"] for one in feed["entry"]}
    found = []
    for path in listed:
        data = (root / path).read_bytes()
        advisory = parse_advisory(data, path)
        assert find_faults(advisory) == ()
        assert f"https://vendor.example.com/advisories/{path}" in sources
        for name in ("sha256", "sha512"):
            hashed = root / f"{path}.{name}"
            if hashed.exists():
                digest = hashlib.new(name, data).hexdigest()
                assert hashed.read_text().split() == [digest, Path(path).name]
        found.append(advisory)
    return found


def test_a_draft_names_versions_by_hash_package_url_and_bill_of_materials() -> None:
    assert find_faults(draft()) == ()
    tree = json.loads(encode_advisory(draft()))["product_tree"]
    (vendor,) = tree["branches"]
    (model,) = vendor["branches"]
    assert (vendor["name"], model["name"]) == (THERMOSTAT.maker.name, MODEL)
    versions = {one["name"]: one["product"] for one in model["branches"]}
    assert set(versions) == {"1.0.0", "1.1.0", "1.2.0"}
    helper = versions["1.1.0"]["product_identification_helper"]
    digest = hashlib.sha256(b"firmware").hexdigest()
    assert helper["purl"] == f"pkg:generic/{MODEL}@1.1.0"
    assert helper["hashes"][0]["file_hashes"] == [{"algorithm": "sha256", "value": digest}]
    assert helper["sbom_urls"] == [
        f"https://vendor.example.com/repository/sboms/{'5' * 64}.cdx.json"
    ]


@pytest.mark.parametrize("bad", ["", "../x", "EX 1", "EX-1\n", ".hidden", "x" * 101])
def test_an_id_that_is_none_is_told_with_one_that_is(bad: str) -> None:
    with pytest.raises(Rejected, match="is no id of an advisory") as caught:
        draft(id=bad)
    assert "EX-2026-001" in caught.value.hint


def test_the_gate_finds_the_regression_test_that_an_advisory_names(tmp_path: Path) -> None:
    save_draft(tmp_path, draft())
    (past,) = load_past(tmp_path)
    assert (past.id, past.vulnerability, past.tests) == (ID, "CVE-2026-12345", (TEST,))


def test_publishing_makes_revision_one_and_publishing_again_changes_nothing(
    tmp_path: Path,
) -> None:
    save_draft(tmp_path / "product", draft())
    publish(tmp_path)
    (first,) = verify_list(distribution(tmp_path))
    assert first.document.tracking.version == "1"
    assert first.document.tracking.status == "final"
    state = {one: one.stat().st_mtime_ns for one in tmp_path.rglob("*") if one.is_file()}
    publish(tmp_path, now=NOW + timedelta(days=1))
    assert {one: one.stat().st_mtime_ns for one in tmp_path.rglob("*") if one.is_file()} == state


def test_a_change_needs_a_word_and_becomes_the_next_revision(tmp_path: Path) -> None:
    save_draft(tmp_path / "product", draft())
    publish(tmp_path)
    save_draft(tmp_path / "product", draft(title="A name ends the app"), replace=True)
    with pytest.raises(Rejected) as caught:
        publish(tmp_path)
    assert caught.value.reason == "no-summary"
    later = NOW + timedelta(days=40)
    publish(tmp_path, summary="Shorter names too", now=later)
    (second,) = verify_list(distribution(tmp_path))
    tracking = second.document.tracking
    assert (tracking.version, tracking.current_release_date) == ("2", later)
    assert tracking.initial_release_date == NOW
    assert [one.summary for one in tracking.revision_history] == [
        "Initial version",
        "Shorter names too",
    ]
    assert second.document.title == "A name ends the app"


def test_a_clock_that_went_back_makes_no_revision(tmp_path: Path) -> None:
    save_draft(tmp_path / "product", draft())
    publish(tmp_path)
    save_draft(tmp_path / "product", draft(title="Another"), replace=True)
    with pytest.raises(Rejected) as caught:
        publish(tmp_path, summary="x", now=NOW - timedelta(days=1))
    assert caught.value.reason == "clock"


def test_an_advisory_over_new_year_stays_in_the_year_in_which_it_began(tmp_path: Path) -> None:
    save_draft(tmp_path / "product", draft())
    publish(tmp_path, now=datetime(2026, 12, 31, 23, 0, tzinfo=UTC))
    save_draft(tmp_path / "product", draft(title="Another"), replace=True)
    publish(tmp_path, summary="x", now=datetime(2027, 1, 1, 1, 0, tzinfo=UTC))
    index = (tmp_path / "public/advisories/index.txt").read_text()
    assert index == "2026/ex-2026-001.json\n"


def change(advisory: Advisory, *path: str | int, to: object) -> bytes:
    """The advisory as JSON with one value replaced."""
    document = json.loads(encode_advisory(advisory))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return json.dumps(document).encode()


V = ("vulnerabilities", 0)
T = ("document", "tracking")
REVISION = {"date": "2026-11-20T00:00:00Z", "number": "0", "summary": "x"}
# What it attacks: where, the value, and the test of the standard that finds it.
FAULTS: dict[str, tuple[tuple[str | int, ...], object, str]] = {
    "undefined product": ((*V, "product_status", "fixed"), ["nobody"], "6.1.1"),
    "contradiction": ((*V, "product_status", "fixed"), ["thermostat-1.0.0"], "6.1.6"),
    "wrong score": ((*V, "scores", 0, "cvss_v3", "baseScore"), 9.8, "6.1.9 and 10"),
    "wrong severity": ((*V, "scores", 0, "cvss_v3", "baseSeverity"), "LOW", "6.1.9 and 10"),
    "bad vector": ((*V, "scores", 0, "cvss_v3", "vectorString"), "CVSS:3.1/AV:N", "6.1.9 and 10"),
    "draft with a version": ((*T, "version"), "1", "limpet"),
    "another version than the last revision": ((*T, "version"), "1", "6.1.16"),
    "interim with version 0": ((*T, "status"), "interim", "6.1.17"),
    "final with revision 0": ((*T, "status"), "final", "6.1.18 and 19"),
    "two of one number": ((*T, "revision_history"), [REVISION, REVISION], "6.1.22"),
    "gap": (
        (*T, "revision_history"),
        [REVISION, REVISION | {"number": "2", "date": "2026-11-21T00:00:00Z"}],
        "6.1.21",
    ),
    "unsorted": (
        (*T, "revision_history"),
        [REVISION, REVISION | {"number": "1", "date": "2026-11-19T00:00:00Z"}],
        "6.1.14",
    ),
    "no name": ((*V, "cve"), None, "limpet"),
    "escape": (("document", "title"), "red \x1b[31m", "limpet"),
    "override": ((*V, "notes", 0, "text"), "left\u202eright", "limpet"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_mandatory_test_finds_what_the_schema_lets_pass(tmp_path: Path, name: str) -> None:
    path, value, test = FAULTS[name]
    data = change(draft(), *path, to=value)
    if value is None:
        data = data.replace(b'"cve": null, ', b"")
    advisory = parse_advisory(data, "x.json")
    assert test in {one.test for one in find_faults(advisory)}
    with pytest.raises(Rejected) as caught:
        save_draft(tmp_path, advisory)
    assert caught.value.reason == "bad-advisory"
    assert "\x1b" not in str(caught.value)
    assert not list(tmp_path.rglob("*.json"))


def test_the_same_product_twice_and_two_scores_are_found() -> None:
    sound = draft()
    (vendor,) = sound.product_tree.branches
    doubled = msgspec.structs.replace(
        sound,
        product_tree=msgspec.structs.replace(sound.product_tree, branches=(vendor, vendor)),
    )
    assert {one.test for one in find_faults(doubled)} == {"6.1.2"}
    (one,) = sound.vulnerabilities
    scored = msgspec.structs.replace(one, scores=one.scores * 2)
    twice = msgspec.structs.replace(sound, vulnerabilities=(scored, one))
    assert {one.test for one in find_faults(twice)} == {"6.1.7", "6.1.23"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{" * 100_000,
        change(draft(), "document", "category", to="csaf_vex"),
        change(draft(), "document", "references", to=[{"summary": "x", "url": "javascript:1"}]),
        change(draft(), "document", "surprise", to="x"),
        change(draft(), "document", "title", to=""),
        change(draft(), *V, "cve", to="CVE-26-1"),
        change(draft(), *T, "initial_release_date", to="2026-11-20T00:00:00"),
        change(draft(), *T, "id", to="../../etc/passwd"),
    ],
)
def test_what_is_not_of_this_form_is_refused_by_the_name_of_its_file(data: bytes) -> None:
    with pytest.raises(Rejected, match=r"^x\.json: "):
        parse_advisory(data, "x.json")


def test_a_wrong_file_and_a_missing_one_publish_nothing(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="there is no advisory"):
        publish(tmp_path)
    file = save_draft(tmp_path / "product", draft())
    file.write_bytes(change(draft(), *T, "id", to="EX-2026-002"))
    with pytest.raises(Rejected) as caught:
        publish(tmp_path)
    assert caught.value.reason == "wrong-id"
    assert not (tmp_path / "public").exists()


def test_an_advisory_that_is_there_is_not_overwritten_unasked(tmp_path: Path) -> None:
    file = save_draft(tmp_path, draft())
    before = file.read_bytes()
    with pytest.raises(Rejected) as caught:
        save_draft(tmp_path, draft(title="Another"))
    assert caught.value.reason == "exists"
    assert file.read_bytes() == before


def test_versions_are_named_or_all_below_one() -> None:
    released = ["1.0.0", "1.2.0", "1.10.0"]
    assert choose_versions("<1.10.0", released) == ("1.0.0", "1.2.0")
    assert choose_versions("1.10.0, 1.2.0", ()) == ("1.2.0", "1.10.0")
    for wrong in ("", "<1.0.0", "one", "<x"):
        with pytest.raises(Rejected, match="version"):
            choose_versions(wrong, released)


@pytest.mark.parametrize(
    ("name", "file"),
    [("EX-2026-001", "ex-2026-001.json"), ("A.b__c+1", "a_b_c+1.json")],
)
def test_a_file_is_named_as_the_standard_says(name: str, file: str) -> None:
    assert file_name(name) == file


def test_a_publication_that_is_killed_at_any_write_shows_old_or_new_and_goes_on(
    tmp_path: Path,
) -> None:
    steps = 0
    while True:
        place = tmp_path / f"{steps}"
        save_draft(place / "product", draft())
        publish(place)
        save_draft(place / "product", draft(title="Another"), replace=True)
        if not killed_at_write(place, steps):
            break
        (seen,) = verify_list(distribution(place))
        assert seen.document.tracking.version in ("1", "2")
        publish(place, summary="Another title", now=NOW + timedelta(days=2))
        (after,) = verify_list(distribution(place))
        assert after.document.tracking.version == "2"
        assert after.document.title == "Another"
        assert len(list((place / f"public/advisories/{NOW.year}").iterdir())) == 3
        steps += 1
    assert steps >= 6  # product, hash, document, hash, copy, feed, changes


def killed_at_write(place: Path, number: int, signer: Signer | None = None) -> bool:
    """Publish in a process that is killed after so many writes; whether it came to that."""
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        left = [number]

        def count(name: str) -> None:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

        try:
            publish_advisory(
                place / "product",
                ID,
                replace(distribution(place, count), signer=signer),
                summary="Another title",
                now=NOW + timedelta(days=1),
            )
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)
