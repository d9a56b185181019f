"""Matching: ecosystem, package and version, and nothing else; what is not known is said."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.release.advisories.records import (
    DUMP,
    ask,
    bring,
    debian,
    ids,
    pypi,
    record,
    write_directory,
)

from limpet.release.advisories import Lookup, Why, look_up
from limpet.release.sbom import Component, Origin


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("advisories") / "advisories.sqlite"
    bring(path, DUMP)
    return path


def why(lookup: Lookup) -> list[Why]:
    return [one.why for one in lookup.unmatched]


def component(purl: str, version: str = "", name: str = "it") -> Component:
    return Component(name=name, version=version, purl=purl)


def test_a_hit_carries_what_the_decision_and_the_reader_need(store: Path) -> None:
    (hit,) = ask(store, pypi("made-up-parser", "0.9")).hits
    assert hit.advisory == "TEST-2026-0001"
    assert hit.aliases == ("CVE-2026-90001",)
    assert hit.fixed_versions == ("1.4.2",)
    assert hit.affected == ">= 0, < 1.4.2"
    assert hit.severity.startswith("CVSS:3.1/")
    assert hit.summary.startswith("A crafted header")
    assert hit.modified.isoformat() == "2026-11-20T08:00:00+00:00"


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.4.2", set()),
        ("1.4.2rc1", {"TEST-2026-0001"}),
        ("1.2", {"TEST-2026-0001", "TEST-2026-0002"}),
        ("2.1", {"TEST-2026-0002"}),
        ("2.2", set()),
    ],
)
def test_the_version_decides(store: Path, version: str, expected: set[str]) -> None:
    assert ids(ask(store, pypi("made-up-parser", version))) == expected


@pytest.mark.parametrize("name", ["made-up-parser", "Made_Up.Parser", "MADE--UP--PARSER"])
def test_names_of_pypi_are_one_whatever_their_spelling(store: Path, name: str) -> None:
    lookup = ask(store, component(f"pkg:pypi/{name}@0.9"))
    assert ids(lookup) == {"TEST-2026-0001"}


def test_the_same_name_in_another_ecosystem_is_another_package(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store"
    bring(path, DUMP, ecosystems=["*"])
    bring(path, write_directory(tmp_path / "npm", record("T-1", ecosystem="npm", kind="SEMVER")))
    assert not ask(path, component("pkg:npm/made-up-parser@0.9.0")).hits
    assert ids(ask(path, component("pkg:npm/a@1.0.0"))) == {"T-1"}
    assert not ask(path, pypi("a", "1.0.0")).hits


def test_a_withdrawn_advisory_does_not_hit(store: Path) -> None:
    assert ids(ask(store, pypi("made-up-server", "1.0"))) == {"TEST-2026-0003"}


def test_a_workaround_is_found_under_its_heading_and_none_is_not_one(store: Path) -> None:
    (hit,) = ask(store, pypi("made-up-server", "1.0")).hits
    assert hit.workaround == "Set `limit = 10` in its configuration."
    hits = ask(store, pypi("made-up-parser", "2.1")).hits
    assert [one.workaround for one in hits] == [""]


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (debian("libmade-up1", "1:2.0-1+deb12u2", source="made-up"), {"TEST-2026-0101"}),
        (debian("libmade-up1", "1:2.0-1+deb12u3", source="made-up"), set()),
        (debian("libmade-up1", "1:2.0-1+deb12u3+b1", source="made-up"), set()),
        (debian("libmade-up1", "1:2.0-1~bpo11+1", source="made-up"), {"TEST-2026-0101"}),
        (debian("libmade-up1", "9", source="made-up%401:2.0-1"), {"TEST-2026-0101"}),
        (debian("made-up", "1:2.0-1"), {"TEST-2026-0101"}),
        (debian("made-up", "1:2.0-1", release="bookworm"), {"TEST-2026-0101"}),
        (debian("made-up", "1:2.0-1", release="debian-12.5"), {"TEST-2026-0101"}),
        (debian("made-up", "1:9.0-1", release="debian-13"), {"TEST-2026-0101"}),
    ],
)
def test_debian_s_packages_are_looked_up_by_source_and_release(
    store: Path, one: Component, expected: set[str]
) -> None:
    lookup = ask(store, one)
    assert ids(lookup) == expected
    assert not lookup.unmatched


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (component(""), Why.NO_PURL),
        (component("made-up-parser"), Why.BAD_PURL),
        (component("pkg:generic/python@3.11"), Why.NO_RULES),
        (component("pkg:deb/devuan/a@1?distro=devuan-5"), Why.NO_RULES),
        (component("pkg:pypi/made-up-parser"), Why.NO_VERSION),
        (component("pkg:pypi/made-up-parser@latest"), Why.BAD_VERSION),
        (component("pkg:pypi/made-up-parser@2.2", "0.9"), Why.BAD_VERSION),
        (component("pkg:npm/made-up-codec@0.1.0"), Why.NOT_IMPORTED),
        (component("pkg:cargo/made-up@0.1.0"), Why.NOT_IMPORTED),
        (component("pkg:deb/debian/made-up@1?distro=debian-11&upstream=x"), Why.NOT_IMPORTED),
        (component("pkg:deb/debian/made-up@1"), Why.NO_RELEASE),
        (component("pkg:deb/debian/made-up@1?distro=ubuntu-22.04"), Why.NO_RELEASE),
        (debian("libmade-up1", "1:2.0-1"), Why.NO_SOURCE),
        (pypi("made-up-git", "1.0"), Why.GIT_ONLY),
    ],
)
def test_what_cannot_be_looked_up_is_named_with_its_reason(
    store: Path, one: Component, reason: Why
) -> None:
    lookup = ask(store, one)
    assert why(lookup) == [reason]
    assert lookup.unmatched[0].component is one
    assert lookup.unmatched[0].detail


def test_what_the_vendor_makes_itself_is_in_no_ecosystem_and_needs_no_look_up(store: Path) -> None:
    own = replace(component("pkg:generic/thermostat@1.1.0"), origin=Origin.OWN)
    assert not ask(store, own).unmatched
    published = replace(pypi("made-up-parser", "0.9"), origin=Origin.OWN)
    assert ids(ask(store, published)) == {"TEST-2026-0001"}
    unclear = replace(component("pkg:pypi/made-up-parser"), origin=Origin.OWN)
    assert why(ask(store, unclear)) == [Why.NO_VERSION]


def test_our_own_sbom_names_the_source_package_where_it_differs(store: Path) -> None:
    ours = replace(debian("made-up-and-fine", "1.0-1"), origin=Origin.SYSTEM)
    assert not ask(store, ours).unmatched
    assert why(ask(store, replace(ours, origin=Origin.UNKNOWN))) == [Why.NO_SOURCE]


def test_a_broken_range_names_its_advisory_and_does_not_hide_the_others(store: Path) -> None:
    lookup = ask(store, pypi("made-up-order", "1.5"))
    assert [one.advisory for one in lookup.unmatched] == ["TEST-2026-0007"]
    assert why(lookup) == [Why.BROKEN_RANGE]
    assert ids(lookup) == {"TEST-2026-0008"}


def test_an_enumerated_version_is_found_as_the_ecosystem_compares(store: Path) -> None:
    assert ids(ask(store, pypi("made-up-codec", "1.0.0"))) == {"TEST-2026-0005"}
    assert not ask(store, pypi("made-up-codec", "1.1")).hits


def test_a_package_without_advisories_in_an_imported_ecosystem_is_clean(store: Path) -> None:
    lookup = ask(store, pypi("made-up-and-fine", "1.0"))
    assert lookup.hits == lookup.unmatched == ()
    assert lookup.facts
    assert lookup.components == 1


def test_an_id_alone_matches_nothing(store: Path) -> None:
    named = Component(name="CVE-2026-90001", version="0.9", purl="pkg:pypi/cve-2026-90001@0.9")
    assert not ask(store, named).hits


def test_a_store_that_is_not_there_or_damaged_is_trouble_and_never_a_clean_answer(
    tmp_path: Path, store: Path
) -> None:
    missing = look_up(tmp_path / "none", [pypi("made-up-parser", "0.9")])
    assert "no database of advisories" in missing.trouble
    assert missing.facts is None
    damaged = tmp_path / "damaged"
    damaged.write_bytes(store.read_bytes()[:8192])
    assert look_up(damaged, []).trouble
    assert not look_up(store, []).trouble


def test_a_binary_that_was_only_rebuilt_counts_as_its_source_s_version(tmp_path: Path) -> None:
    path = tmp_path / "store"
    last = record(
        "T-1", ecosystem="Debian:12", events=({"introduced": "0"}, {"last_affected": "1.0-1"})
    )
    bring(path, write_directory(tmp_path / "dump", last))
    assert ids(ask(path, debian("a", "1.0-1+b2"))) == {"T-1"}
    assert not ids(ask(path, debian("a", "1.0-2+b1")))
