"""What others wrote, on the pages: audits, bills of materials, advisories, verdicts, rights.

Whoever writes such a file writes text and nothing else; a damaged one is named, and hides nothing.
"""

import csv
import dataclasses
import hashlib
import io
import json
import re
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.vendor.face import (
    NOW,
    advisory,
    audit,
    bill,
    everything,
    pages,
    thermostat,
)  # fmt: skip

from limpet.crypto.attesting import key_id, new_attesting_key
from limpet.errors import Rejected
from limpet.vendor.pages import Dossier, Site
from limpet.vendor.pages.document import Link, link
from limpet.vendor.pages.records import load_advisories, place_evidence, read_bill, read_evidence
from limpet.vendor.pages.records.advisories import read_advisory
from limpet.vendor.pages.records.evidence import evidence_file
from limpet.vendor.pages.records.gate import read_gate
from limpet.wire.attestation import Attestation, Result, seal_attestation

SCRIPT = "<script>alert(1)</script>\"'>"


def text(site: Site, path: str) -> str:
    return site[path].body.decode()


def words(site: Site, path: str) -> str:
    markup = re.sub(r"</?time>", "", text(site, path))  # which stands within words
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", markup)).split())


def test_every_statement_of_an_audit_is_shown_with_verdict_and_evidence() -> None:
    site = pages(everything())
    page = words(site, "/audit/thermostat")
    for entry in audit()["entries"]:
        assert f"{entry['statement']} {entry['verdict']}" in page
        assert entry["evidence"] in page
    assert json.loads(site["/audit/thermostat.json"].body)["spec"] == "limpet-audit-1"


def test_what_an_audit_left_open_is_among_the_risks_that_are_left() -> None:
    page = text(pages(everything()), "/security")
    residual = page[page.index('<section id="residual">') :]
    open_ends = [one for one in audit()["entries"] if one["verdict"] in
                 ("fail", "could not determine", "not yet")]  # fmt: skip
    assert len(open_ends) > 10
    for entry in open_ends:
        assert entry["evidence"] in residual
    closed = next(one for one in audit()["entries"] if one["verdict"] == "pass")
    assert f"{closed['evidence']}<" not in residual


def test_where_nothing_was_published_the_pages_say_so() -> None:
    site = pages(Dossier(product=thermostat()))
    assert "No result of an audit was published" in words(site, "/audit/thermostat")
    assert "No result of an audit was published" in words(site, "/security")
    assert "without" not in words(site, "/components/thermostat")
    assert "bill of materials (SBOM)" in words(site, "/components/thermostat")
    assert "None was published" in words(site, "/releases/thermostat")
    assert "None was published" in words(site, "/advisories/thermostat")
    assert "No published release carries the record of its processes" in words(site, "/security")
    comparison = json.loads(site["/compare.json"].body)["products"][0]
    assert comparison["audit_pass"] is None  # not known is not none
    assert comparison["components"] is None
    assert comparison["advisories"] == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"spec": "limpet-audit-2"}, "malformed"),
        ({"entries": []}, "malformed"),
        ({"entries": [audit()["entries"][0]] * 2}, "malformed"),
        ({"entries": [audit()["entries"][0] | {"statement": "R9.9"}]}, "malformed"),
        ({"entries": [audit()["entries"][0] | {"verdict": "passed, honestly"}]}, "malformed"),
        ({"entries": [audit()["entries"][0] | {"evidence": "x" * 5000}]}, "malformed"),
        ({"started": "2027-11-20T10:00:00Z"}, "malformed"),
        ({"started": "2026-11-20T10:00:00"}, "malformed"),
        ({"padding": "x" * (2 << 20)}, "too-large"),
    ],
)
def test_a_report_that_is_none_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        read_evidence(json.dumps(audit(**change)).encode(), now=NOW)
    assert refused.value.reason == reason
    assert read_evidence(json.dumps(audit()).encode(), now=NOW).target == "https://192.0.2.7"


def test_a_key_that_a_later_audit_adds_does_no_harm() -> None:
    entries = [audit()["entries"][0] | {"colour": "green"}]
    found = read_evidence(json.dumps(audit(entries=entries, mood="good")).encode(), now=NOW)
    assert len(found.entries) == 1


def test_a_damaged_report_does_not_replace_the_good_one(tmp_path: Path) -> None:
    public, file = tmp_path / "public", tmp_path / "report.json"
    file.write_bytes(json.dumps(audit()).encode())
    place_evidence(file, public, "thermostat", now=NOW)
    good = evidence_file(public, "thermostat").read_bytes()
    file.write_bytes(good[:-200])
    with pytest.raises(Rejected, match=r"report\.json"):
        place_evidence(file, public, "thermostat", now=NOW)
    assert evidence_file(public, "thermostat").read_bytes() == good
    assert [path.name for path in (public / "evidence").iterdir()] == ["thermostat.json"]


def test_components_are_listed_with_licences_and_the_cryptographic_inventory() -> None:
    page = words(pages(everything()), "/components/thermostat")
    assert "h11 0.16.0 MIT pkg:pypi/h11@0.16.0" in page
    assert "ML-DSA-65 algorithm signature 65 2.16.840.1.101.3.4.3.18 3" in page


def test_no_record_writes_markup() -> None:
    part = {"type": "library", "name": SCRIPT, "version": SCRIPT, "purl": SCRIPT,
            "licenses": [{"expression": SCRIPT}]}  # fmt: skip
    entry = audit()["entries"][0] | {"evidence": SCRIPT, "asks": SCRIPT, "level": SCRIPT}
    report = json.dumps(audit(target=SCRIPT, entries=[entry])).encode()
    told = json.loads(advisory(id=SCRIPT))
    told["document"]["title"] = told["document"]["aggregate_severity"]["text"] = SCRIPT
    told["vulnerabilities"][0]["remediations"][0]["details"] = SCRIPT
    product = thermostat()
    interface = msgspec.structs.replace(product.interfaces[0], protocol=SCRIPT)
    hostile = msgspec.structs.replace(product, interfaces=(interface, *product.interfaces[1:]))
    process = everything().rights
    assert process is not None
    lying = msgspec.structs.replace(process.processes[0], task=SCRIPT, reads=(SCRIPT,))
    site = pages(
        everything(
            hostile,
            bill=read_bill(bill(part)),
            evidence=read_evidence(report, now=NOW),
            advisories=(read_advisory(json.dumps(told).encode(), "one.json"),),
            rights=msgspec.structs.replace(process, processes=(lying, *process.processes[1:])),
            faults=(SCRIPT,),
        )
    )
    shown = 0
    for page in site.values():
        if page.media_type.startswith("text/html"):
            assert b"<script" not in page.body
            shown += page.body.count(b"&lt;script&gt;")
    assert shown > 10
    assert "&lt;script&gt;" in text(site, "/security").split("<svg")[1].split("</svg>")[0]


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "data:text/html,x", "JAVASCRIPT:x", "//evil.example/", "/etc",
     "https://a b", "file:///etc/passwd", "../../x", "vbscript:x", "a\nb", ""],
)  # fmt: skip
def test_a_text_never_leads_where_no_reader_should_be_led(address: str) -> None:
    assert link("here", address) == "here"
    assert link("here", "https://example.org/a?b=c") == Link("here", "https://example.org/a?b=c")
    assert link("here", "support/a.html") == Link("here", "support/a.html")


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"bomFormat": "SPDX", "specVersion": "1.6"}', b"\xff\xfe",
               b'{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": 3}',
               b"[" * 100_000]
)  # fmt: skip
def test_a_bill_that_is_none_is_refused(damage: bytes) -> None:
    with pytest.raises(Rejected, match="Document"):
        read_bill(damage)


def test_advisories_are_listed_newest_first_without_drafts_and_a_damaged_one_hides_none(
    tmp_path: Path,
) -> None:
    later = advisory(id="EXI-2026-002", initial_release_date="2026-11-01T08:00:00Z")
    (tmp_path / "a.json").write_bytes(advisory())
    (tmp_path / "b.json").write_bytes(later)
    (tmp_path / "c.json").write_bytes(advisory(id="EXI-2026-003", status="draft"))
    (tmp_path / "d.json").write_bytes(b"{")
    (tmp_path / "index.json").write_bytes(b"[]")
    found, faults = load_advisories(tmp_path)
    assert [one.id for one in found] == ["EXI-2026-002", "EXI-2026-001"]
    assert [fault.partition(":")[0] for fault in faults] == ["d.json"]
    page = words(pages(everything(advisories=found, faults=faults)), "/advisories/thermostat")
    assert "EXI-2026-001: A cookie is read too far" in page
    assert "CVE-2026-0001" in page
    assert "Install 1.2.0." in page
    assert "d.json" in words(pages(everything(faults=faults)), "/")


def test_the_gates_word_is_shown_with_its_key_and_only_on_its_release() -> None:
    key, other = new_attesting_key(), new_attesting_key()
    result = Result(result="PASSED", configuration=(), passed_tests=("a", "b"), judged_at=NOW)
    word = seal_attestation(Attestation.of({"manifest.json": "cd" * 32}, result), key)
    digest = hashlib.sha256(word).hexdigest()
    facts: dict[str, Any] = {"sha256": digest, "manifest_sha256": "cd" * 32}
    gate = read_gate(word, keys=[key.public_key()], **facts)
    assert (gate.verdict, gate.rules, gate.key_id) == ("passed", 2, key_id(key.public_key()))
    assert read_gate(word, keys=(), **facts).key_id == ""
    for wrong in (
        {"keys": [other.public_key()]},
        {"keys": (), "manifest_sha256": "ab" * 32},
        {"keys": (), "sha256": "ab" * 32},
    ):
        with pytest.raises(Rejected) as refused:
            read_gate(word, **(facts | wrong))
        assert refused.value.reason == "bad-attestation"
    dossier = everything()
    release = dataclasses.replace(dossier.releases[0], gate=gate)
    site = pages(everything(releases=(release,)))
    page = words(site, "/releases/thermostat")
    assert "passed on 2026-11-22, 2 rules passed, signed by the gate's key" in page
    assert json.loads(site["/compare.json"].body)["products"][0]["gate"] == "passed"
    assert "no statement" in words(pages(dossier), "/releases/thermostat")


def test_products_are_compared_in_the_same_terms_for_people_and_for_programs() -> None:
    product = thermostat()
    other = msgspec.structs.replace(
        product, model=msgspec.structs.replace(product.model, name="doorbell", display_name="=Bell")
    )
    site = pages(everything(), Dossier(product=other))
    document = json.loads(site["/compare.json"].body)
    first, second = document["products"]
    assert document["spec"] == "limpet-comparison-1"
    assert list(first) == list(second)
    assert first["support_until"] == "2031-12-31"
    assert first["open_ports"] == ["TCP 8443", "UDP 5353"]
    assert first["update_signatures"] == "2 offline and 1 online"
    assert first["audit_fail"] == 1
    assert first["post_quantum"] is True
    assert second["audit_pass"] is None
    rows = list(csv.DictReader(io.StringIO(site["/compare.csv"].body.decode())))
    assert [row["model"] for row in rows] == ["thermostat", "doorbell"]
    assert rows[1]["name"] == "'=Bell"  # a spreadsheet would run it
    assert rows[0]["open_ports"] == "TCP 8443; UDP 5353"
    page = words(site, "/compare")
    assert "Security updates until 2031-12-31 2031-12-31" in page
    assert "Audit: statements passed" in page
    assert "not published" in page


def test_a_product_whose_support_ended_says_so_on_every_page_that_speaks_of_it() -> None:
    over = NOW + timedelta(days=3000)
    site = pages(everything(), now=over)
    assert "ended on 2031-12-31" in words(site, "/")
    assert "gets no more security updates" in words(site, "/support/thermostat")
    assert json.loads(site["/compare.json"].body)["products"][0]["support_over"] is True
