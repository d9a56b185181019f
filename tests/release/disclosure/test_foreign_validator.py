"""Another project's validator, in another language, judges the advisories that limpet makes.

It has CSAF 2.0's strict schema and all mandatory tests (6.1). It is installed for the run from
`foreign/package-lock.json`, by content: nothing of it is committed. One process judges all.
"""

import itertools
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.node import install, run
from tests.release.disclosure.test_advisories import (
    FAULTS,
    T,
    V,
    change,
    distribution,
    draft,
    publish,
)

from limpet.release.cvss import parse_cvss
from limpet.release.disclosure import (
    Advisory,
    encode_advisory,
    find_faults,
    parse_advisory,
    save_draft,
)

FOREIGN = Path(__file__).parent / "foreign"
SCHEMA = "csaf_2_0_strict"
AT = "2026-11-01T00:00:00Z"
LONE = "thermostat-1.1.0"


def having(base: Advisory, *changes: tuple[tuple[str | int, ...], object]) -> bytes:
    """`base` with values that its builder does not write, but an editor may."""
    data = encode_advisory(base)
    for path, value in changes:
        data = change(parse_advisory(data, "x"), *path, to=value)
    return data


def vectors() -> Iterator[str]:
    """A vector in every hundred: their validator computes the score again."""
    letters = ("NALP", "LH", "NLH", "NR", "UC", "NLH", "NLH", "NLH")
    names = ("AV", "AC", "PR", "UI", "S", "C", "I", "A")
    for chosen in itertools.islice(itertools.product(*letters), 0, None, 101):
        for version in ("3.0", "3.1"):
            metrics = "/".join(f"{name}:{one}" for name, one in zip(names, chosen, strict=True))
            yield f"CVSS:{version}/{metrics}"


def sound(directory: Path) -> dict[str, bytes]:
    """Documents of every kind that our form and our tests let pass."""
    made = {
        "draft": draft(),
        "no CVE": draft(cves=(), aliases=("GHSA-1111-2222-3333", "PYSEC-2026-1")),
        "only our id": draft(cves=()),
        "two CVEs": draft(cves=("CVE-2026-12345", "CVE-2026-1234567")),
        "CVSS 3.0": draft(score=parse_cvss("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H")),
        "no score": draft(score=None, severity="moderate"),
        "no fix": draft(fixed=""),
        "workaround": draft(fixed="", workaround="Switch it off.\nAnd on."),
        "other letters": draft(title="Ein zu langer Name: \u00fc\u4e16\U0001f512", tests=()),
        "references": draft(references=("https://example.org/a?b=c#d",)),
    }
    made |= {f"vector {i}": draft(score=parse_cvss(one)) for i, one in enumerate(vectors())}
    documents = {name: encode_advisory(one) for name, one in made.items()}
    save_draft(directory / "product", draft())
    publish(directory)
    documents["revision 1"] = published(directory)
    save_draft(directory / "product", draft(title="A name ends the app"), replace=True)
    publish(directory, summary="Shorter names too")
    documents["revision 2"] = published(directory)
    for status in ("known_not_affected", "under_investigation", "first_fixed"):
        says: dict[str, list[str]] = {"known_affected": ["thermostat-1.0.0"], status: [LONE]}
        documents[status] = having(draft(), ((*V, "product_status"), says))
    documents["interim"] = documents["revision 1"].replace(b'"final"', b'"interim"')
    documents["full"] = having(
        draft(),
        ((*V, "discovery_date"), AT),
        ((*V, "release_date"), AT),
        ((*V, "references"), [{"summary": "x", "url": "https://example.org/", "category": "self"}]),
        (("document", "references"), [{"summary": "x", "url": "https://example.org/"}]),
        (("document", "lang"), "de-DE"),
        ((*V, "remediations", 0, "url"), "https://example.org/update"),
        ((*V, "remediations", 0, "date"), AT),
        *(((*V, "notes", 0, "category"), one) for one in ("details", "faq", "general")),
    )
    for one in ("mitigation", "no_fix_planned"):
        remedy = {"category": one, "details": "x", "product_ids": [LONE]}
        documents[one] = having(draft(fixed=""), ((*V, "remediations"), [remedy]))
    return documents


def published(directory: Path) -> bytes:
    """The only document of the public list."""
    (listed,) = distribution(directory).listed()
    return (distribution(directory).root / listed.path).read_bytes()


def mandatory(number: str) -> tuple[str, ...]:
    """What they call the tests of our `number`; a vector that is none fails their schema."""
    names = [f"6.1.{one.removeprefix('6.1.')}" for one in number.split(" and ")]
    found = tuple(f"mandatoryTest_{one.replace('.', '_')}" for one in names)
    return (*found, SCHEMA) if number.startswith("6.1.9") else found


OURS_ALONE = {"bad vector"}
"""Their schema lets a part of a vector pass, and no score is computed from it."""

# What is wrong: where, the value, and those of their tests of which one has to find it.
SPOILED: Mapping[str, tuple[tuple[str | int, ...], object, tuple[str, ...]]] = {
    name: (path, value, mandatory(number))
    for name, (path, value, number) in FAULTS.items()
    if number != "limpet" and name not in OURS_ALONE
} | {
    "unknown field": (("document", "surprise"), "x", (SCHEMA,)),
    "empty title": (("document", "title"), "", (SCHEMA,)),
    "CVE of another form": ((*V, "cve"), "CVE-26-1", (SCHEMA,)),
    "time without zone": ((*T, "initial_release_date"), "2026-11-20T00:00:00", (SCHEMA,)),
    "no products": (("product_tree", "branches"), [], (SCHEMA,)),
    "score beyond ten": ((*V, "scores", 0, "cvss_v3", "baseScore"), 11, (SCHEMA,)),
}


@dataclass(frozen=True, slots=True)
class Judged:
    """What the validator ran, and what of it each document failed."""

    tests: frozenset[str]
    failed: Mapping[str, tuple[str, ...]]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """Their verdicts on all documents, of one process."""
    directory = tmp_path_factory.mktemp("validator")
    shutil.copytree(FOREIGN, directory / "foreign")
    install(directory / "foreign", untried="no foreign validator judged our advisories")
    documents = sound(directory)
    for name, (path, value, _) in SPOILED.items():
        spoiled = change(draft(), *path, to=value)
        documents[f"spoiled: {name}"] = spoiled.replace(b'"cve": null, ', b"")
    place = directory / "documents"
    place.mkdir()
    for name, data in documents.items():
        (place / f"{name}.json").write_bytes(data)
    told: dict[str, Any] = json.loads(
        run("node", "validate.mjs", str(place), at=directory / "foreign")
    )
    failed = {name.removesuffix(".json"): tuple(tests) for name, tests in told["said"].items()}
    assert set(failed) == set(documents)
    return Judged(frozenset(told["tests"]), failed)


def test_every_kind_of_document_that_we_let_pass_is_valid_to_other_people_too(
    judged: Judged, tmp_path: Path
) -> None:
    assert SCHEMA in judged.tests
    assert len(judged.tests) > 40
    ours = sound(tmp_path)
    for name, data in ours.items():
        assert find_faults(parse_advisory(data, name)) == (), name
    assert {name: judged.failed[name] for name in ours} == dict.fromkeys(ours, ())


@pytest.mark.parametrize("name", SPOILED)
def test_what_one_of_our_tests_finds_theirs_of_the_same_number_finds(
    judged: Judged, name: str
) -> None:
    """The control of the control: their tests run on our documents, and fail where they must."""
    _, _, expected = SPOILED[name]
    assert set(expected) & set(judged.failed[f"spoiled: {name}"]), judged.failed[f"spoiled: {name}"]
