"""VEX documents: read as their formats say, and refused whole where they are not of their form."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.release.advisories.records import HERE

from limpet.errors import Rejected
from limpet.release.advisories import VexStatement, VexStatus, load_vex, parse_vex

CYCLONEDX = HERE / "vex" / "not-affected.cdx.json"
OPENVEX = HERE / "vex" / "not-affected.openvex.json"
EXPIRES = datetime(2027, 2, 20, 23, 59, 59, 999999, UTC)


def changed(path: Path, change: Callable[[Any], object]) -> list[VexStatement]:
    document = json.loads(path.read_text())
    change(document)
    return parse_vex(json.dumps(document).encode(), "it")


def finding(change: Callable[[Any], object]) -> list[VexStatement]:
    return changed(CYCLONEDX, lambda bom: change(bom["vulnerabilities"][0]))


def stating(change: Callable[[Any], object]) -> list[VexStatement]:
    return changed(OPENVEX, lambda document: change(document["statements"][0]))


def test_a_cyclonedx_statement_is_read_with_author_justification_and_expiry() -> None:
    (one,) = load_vex([CYCLONEDX])
    assert one.names == {"CVE-2026-90001", "TEST-2026-0001"}
    assert (one.component, one.version) == ("pkg:pypi/made-up-parser@0.9", "0.9")
    assert one.status is VexStatus.NOT_AFFECTED
    assert one.justification == "code_not_reachable"
    assert one.author == "Security team of the example"
    assert one.expires == EXPIRES
    assert one.source.endswith("not-affected.cdx.json, vulnerabilities[0]")


def test_an_openvex_statement_is_read_with_author_justification_and_expiry() -> None:
    (one,) = load_vex([OPENVEX])
    assert one.names == {"CVE-2026-90001"}
    assert (one.component, one.version) == ("pkg:pypi/made-up-parser@0.9", "0.9")
    assert one.product == "pkg:generic/thermostat@1.1.0"
    assert one.status is VexStatus.NOT_AFFECTED
    assert one.justification == "vulnerable_code_not_in_execute_path"
    assert one.detail == "The header is never parsed."
    assert one.expires == EXPIRES


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("resolved", VexStatus.FIXED),
        ("resolved_with_pedigree", VexStatus.FIXED),
        ("exploitable", VexStatus.AFFECTED),
        ("in_triage", VexStatus.UNDER_INVESTIGATION),
        ("false_positive", VexStatus.NOT_AFFECTED),
        ("not_affected", VexStatus.NOT_AFFECTED),
    ],
)
def test_each_state_of_cyclonedx_has_its_status(state: str, status: VexStatus) -> None:
    (one,) = finding(lambda it: it["analysis"].update(state=state))
    assert one.status is status


def test_a_detail_in_words_justifies_what_has_no_label_but_not_not_affected() -> None:
    def drop(state: str) -> Callable[[Any], object]:
        words = {"state": state, "detail": "Patched with the fix of version 1.4.2."}
        return lambda it: it.update(analysis=words)

    assert finding(drop("resolved"))[0].justification.startswith("Patched")
    assert finding(drop("false_positive"))[0].justification.startswith("Patched")
    assert finding(drop("not_affected"))[0].justification == ""


@pytest.mark.parametrize(
    ("affects", "expected"),
    [
        ({"ref": "pkg:pypi/made-up-parser@0.9"}, ["0.9"]),
        ({"ref": "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#pkg%3Apypi%2Fx%401"}, ["1"]),
        ({"ref": "pkg:pypi/x", "versions": [{"version": "1"}, {"version": "2"}]}, ["1", "2"]),
        ({"ref": "pkg:pypi/x", "versions": [{"range": "vers:pypi/<2"}]}, []),
        ({"ref": "pkg:pypi/x", "versions": [{"version": "1", "status": "unknown"}]}, []),
        ({"ref": "parser", "versions": [{"version": "0.8"}]}, []),
        ({"ref": "unknown"}, []),
        ({"ref": "pkg:pypi/x"}, []),
    ],
)
def test_only_exact_versions_of_a_known_package_are_stated(
    affects: dict[str, object], expected: list[str]
) -> None:
    found = finding(lambda it: it.update(affects=[affects]))
    assert [one.version for one in found] == expected


def test_a_workaround_is_an_action_in_both_formats() -> None:
    (one,) = finding(lambda it: it.update(workaround="Turn it off."))
    assert one.action == "Turn it off."
    (other,) = stating(lambda it: it.update(status="affected", action_statement="Turn it off."))
    assert other.action == "Turn it off."
    (third,) = finding(lambda it: it["analysis"].update(response=["will_not_fix", "rollback"]))
    assert third.action == "rollback"


def test_an_openvex_statement_about_a_library_itself_has_no_product() -> None:
    (one,) = stating(lambda it: it.update(products=[{"@id": "pkg:pypi/x@1"}]))
    assert (one.product, one.component, one.version) == ("", "pkg:pypi/x@1", "1")


def test_a_statement_s_own_time_goes_before_the_document_s() -> None:
    assert load_vex([OPENVEX])[0].at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    (one,) = stating(lambda it: it.update(timestamp="2026-11-25T00:00:00Z"))
    assert one.at == datetime(2026, 11, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it["analysis"].update(state="fine"),
        lambda it: it["analysis"].update(justification="trust_me"),
        lambda it: it["analysis"].update(firstIssued="2026-11-20T10:00:00"),
        lambda it: it["properties"][0].update(value="next year"),
        lambda it: it["properties"][0].update(value="2027-02-20T00:00:00"),
        lambda it: it.update(affects="parser"),
    ],
)
def test_a_cyclonedx_document_that_is_not_of_its_form_is_refused_whole(
    change: Callable[[Any], object],
) -> None:
    with pytest.raises(Rejected) as refused:
        finding(change)
    assert refused.value.reason == "malformed"
    assert refused.value.message.startswith("it")


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it.update(status="safe"),
        lambda it: it.update(justification="trust_me"),
        lambda it: it.update(status_notes="limpet:expires=soon"),
        lambda it: it.update(timestamp="2026-11-20T10:00:00"),
        lambda it: it.pop("vulnerability"),
        lambda it: it.update(vulnerability="CVE-2026-90001"),
    ],
)
def test_an_openvex_document_that_is_not_of_its_form_is_refused_whole(
    change: Callable[[Any], object],
) -> None:
    with pytest.raises(Rejected) as refused:
        stating(change)
    assert refused.value.reason == "malformed"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"bomFormat": "SPDX"}',
        b'{"@context": "https://openvex.dev/ns/v9.9.9", "statements": []}',
        b'{"@context": ["https://openvex.dev/ns"], "statements": []}',
        b"[" * 100_000,
    ],
)
def test_what_is_neither_format_is_refused(data: bytes) -> None:
    with pytest.raises(Rejected):
        parse_vex(data, "it")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(
    path=st.sampled_from([CYCLONEDX, OPENVEX]),
    place=st.integers(0, 200),
    value=_JSON,
)
def test_any_value_at_any_place_is_read_or_refused(path: Path, place: int, value: object) -> None:
    document = json.loads(path.read_text())
    spots: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        keys = node if isinstance(node, dict) else range(len(node))
        for key in keys:
            spots.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(document)
    node, key = spots[place % len(spots)]
    node[key] = value
    try:
        found = parse_vex(msgspec.json.encode(document), "it")
    except Rejected as error:
        assert error.message.startswith("it")  # noqa: PT017 - either is right
    else:
        assert all(isinstance(one, VexStatement) for one in found)
