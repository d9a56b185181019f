"""The decision: what blocks, what is listed, what a statement may excuse, what is not known."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.release.advisories.records import NOW, pypi
from tests.release.advisories.test_vex import CYCLONEDX, OPENVEX

from limpet.release.advisories import (
    EcosystemFacts,
    Hit,
    Judged,
    Lookup,
    Outcome,
    Owned,
    OwnedComponent,
    Policy,
    StoreFacts,
    Triage,
    Unmatched,
    VexStatement,
    VexStatus,
    Why,
    judge_vulnerabilities,
    load_vex,
)
from limpet.release.sbom import Component

SUBJECT = "pkg:generic/thermostat@1.1.0"
PARSER = pypi("made-up-parser", "0.9")
FRESH = EcosystemFacts(advisories=10, newest=NOW - timedelta(days=1), imported_at=NOW)
FACTS = StoreFacts(advisories=10, ecosystems=MappingProxyType({"PyPI": FRESH}), digest="0" * 64)
UNFIXED = Hit(
    advisory="TEST-2026-0001",
    aliases=("CVE-2026-90001",),
    component=PARSER,
    summary="It fails",
    modified=NOW - timedelta(days=9),
)
FIXABLE = replace(UNFIXED, fixed_versions=("1.4.2",))
STATEMENT = VexStatement(
    names=frozenset({"CVE-2026-90001"}),
    component="pkg:pypi/made-up-parser@0.9",
    version="0.9",
    status=VexStatus.NOT_AFFECTED,
    justification="code_not_reachable",
    author="the security team",
    at=NOW - timedelta(days=3),
    expires=NOW + timedelta(days=90),
    source="vex.json",
)
OWNED = Owned(
    id="CVE-2026-90001",
    component="pkg:pypi/made-up-parser",
    owner="the security team",
    reason="no fix yet; it is off by default",
    review_by=date(2026, 12, 20),
)


def lookup(*hits: Hit, unmatched: tuple[Unmatched, ...] = (), facts: StoreFacts = FACTS) -> Lookup:
    return Lookup(hits=hits, unmatched=unmatched, facts=facts, components=1)


def judge(
    found: Lookup,
    *vex: VexStatement,
    owned: tuple[Owned, ...] = (),
    unmatched: tuple[OwnedComponent, ...] = (),
    now: datetime = NOW,
) -> tuple[Judged, ...]:
    triage = Triage(vulnerabilities=owned, unmatched=unmatched)
    return judge_vulnerabilities(found, vex, triage, now, subject=SUBJECT)


def outcome(found: Lookup, *vex: VexStatement, owned: tuple[Owned, ...] = ()) -> Outcome:
    (one,) = judge(found, *vex, owned=owned)
    return one.outcome


def test_nothing_found_in_fresh_data_is_no_finding() -> None:
    assert judge(lookup()) == ()


@pytest.mark.parametrize(
    "hit",
    [
        FIXABLE,
        replace(UNFIXED, workaround="Set limit = 10."),
    ],
)
def test_a_known_fix_or_workaround_blocks_whoever_owns_it(hit: Hit) -> None:
    (one,) = judge(lookup(hit), owned=(OWNED,))
    assert one.outcome is Outcome.BLOCKS_FIXABLE
    assert one.outcome.blocks
    assert one.fix in ("update made-up-parser to 1.4.2", "workaround: Set limit = 10.")


def test_a_mitigation_that_the_vendor_states_itself_blocks_too() -> None:
    affected = replace(STATEMENT, status=VexStatus.AFFECTED, action="Turn it off.")
    (one,) = judge(lookup(UNFIXED), affected, owned=(OWNED,))
    assert one.outcome is Outcome.BLOCKS_FIXABLE
    assert one.fix == "mitigation: Turn it off."


def test_without_a_fix_it_blocks_until_somebody_owns_it() -> None:
    assert outcome(lookup(UNFIXED)) is Outcome.BLOCKS_UNOWNED
    (one,) = judge(lookup(UNFIXED), owned=(OWNED,))
    assert one.outcome is Outcome.LISTED
    assert not one.outcome.blocks
    assert one.by == "the security team"
    assert one.until
    assert one.until.date() == OWNED.review_by


@pytest.mark.parametrize(
    "owned",
    [
        {"review_by": date(2026, 11, 26)},
        {"review_by": date(2027, 6, 1)},
        {"review_by": date(9999, 12, 31)},
        {"id": "CVE-2026-90002"},
        {"component": "pkg:pypi/made-up-server"},
        {"component": "pkg:pypi/made-up-parser@0.8"},
        {"component": "pkg:npm/made-up-parser"},
        {"component": "made-up-parser"},
    ],
)
def test_an_owner_of_something_else_or_a_review_that_is_due_or_far_away_does_not_count(
    owned: dict[str, object],
) -> None:
    import msgspec

    entry = msgspec.structs.replace(OWNED, **owned)
    assert outcome(lookup(UNFIXED), owned=(entry,)) is Outcome.BLOCKS_UNOWNED


def test_a_whole_statement_excuses_and_says_who_until_when() -> None:
    (one,) = judge(lookup(FIXABLE), STATEMENT)
    assert one.outcome is Outcome.EXCUSED
    assert one.by == "the security team"
    assert one.until == STATEMENT.expires
    assert "code_not_reachable" in one.reason
    fixed = replace(STATEMENT, status=VexStatus.FIXED, justification="patched as in 1.4.2")
    assert outcome(lookup(FIXABLE), fixed) is Outcome.EXCUSED


@pytest.mark.parametrize("path", [CYCLONEDX, OPENVEX], ids=["cyclonedx", "openvex"])
def test_a_statement_on_file_excuses_in_either_format(path: Path) -> None:
    assert outcome(lookup(FIXABLE), *load_vex([path])) is Outcome.EXCUSED


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"names": frozenset({"CVE-2026-90002"})}, ""),
        ({"component": "pkg:pypi/made-up-server@0.9"}, ""),
        ({"component": "pkg:npm/made-up-parser@0.9"}, ""),
        ({"component": "pkg:pypi/made-up-parser@0.9?arch=arm64"}, ""),
        ({"component": "made-up-parser"}, ""),
        ({"version": "0.8"}, ""),
        ({"version": ""}, ""),
        ({"product": "pkg:generic/thermostat@1.0.0"}, "only"),
        ({"product": "pkg:generic/doorbell@1.1.0"}, "only"),
        ({"product": "?"}, "only"),
        ({"justification": ""}, "no justification"),
        ({"justification": "protected_at_perimeter"}, "perimeter"),
        ({"justification": "inline_mitigations_already_exist"}, "perimeter"),
        ({"author": ""}, "no author"),
        ({"expires": None}, "no expiry"),
        ({"expires": NOW - timedelta(seconds=1)}, "expired"),
        ({"expires": NOW}, "expired"),
        ({"expires": NOW + timedelta(days=3650)}, "more than"),
        ({"at": None}, "no time"),
        ({"at": NOW + timedelta(days=1)}, "future"),
        ({"status": VexStatus.UNDER_INVESTIGATION}, "under_investigation"),
        ({"status": VexStatus.AFFECTED}, "affected"),
    ],
)
def test_a_statement_that_lacks_one_thing_excuses_nothing_and_the_finding_says_why(
    change: dict[str, object], word: str
) -> None:
    (one,) = judge(lookup(FIXABLE), replace(STATEMENT, **change))  # type: ignore[arg-type]
    assert one.outcome is Outcome.BLOCKS_FIXABLE
    assert word in one.reason


def test_a_statement_about_the_firmware_at_hand_is_honoured() -> None:
    assert outcome(lookup(FIXABLE), replace(STATEMENT, product=SUBJECT)) is Outcome.EXCUSED
    any_version = replace(STATEMENT, product="pkg:generic/thermostat")
    assert outcome(lookup(FIXABLE), any_version) is Outcome.EXCUSED
    none = judge_vulnerabilities(
        lookup(FIXABLE), (replace(STATEMENT, product=SUBJECT),), Triage(), NOW
    )
    assert [one.outcome for one in none] == [Outcome.BLOCKS_FIXABLE]


def test_the_latest_statement_holds_and_a_contradiction_excuses_nothing() -> None:
    later = replace(STATEMENT, status=VexStatus.AFFECTED, at=NOW - timedelta(days=1))
    assert outcome(lookup(FIXABLE), STATEMENT, later) is Outcome.BLOCKS_FIXABLE
    earlier = replace(later, at=NOW - timedelta(days=9))
    assert outcome(lookup(FIXABLE), STATEMENT, earlier) is Outcome.EXCUSED
    same = replace(later, at=STATEMENT.at)
    assert outcome(lookup(FIXABLE), STATEMENT, same) is Outcome.BLOCKS_FIXABLE
    assert outcome(lookup(FIXABLE), same, STATEMENT) is Outcome.BLOCKS_FIXABLE


def test_a_statement_about_one_of_two_vulnerabilities_does_not_excuse_both() -> None:
    single = replace(FIXABLE, aliases=(), upstream=("CVE-2026-90001",))
    assert outcome(lookup(single), STATEMENT) is Outcome.EXCUSED
    bundle = replace(single, upstream=("CVE-2026-90001", "CVE-2026-90002"))
    assert outcome(lookup(bundle), STATEMENT) is Outcome.BLOCKS_FIXABLE


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        (replace(FACTS, ecosystems={}, advisories=0), "empty"),
        (replace(FACTS, refused=("T-1.json",), refused_count=1), "T-1.json"),
        (
            replace(FACTS, ecosystems={"PyPI": replace(FRESH, imported_at=NOW - timedelta(8))}),
            "imported on 2026-11-19",
        ),
        (
            replace(FACTS, ecosystems={"PyPI": replace(FRESH, imported_at=NOW + timedelta(1))}),
            "in the future",
        ),
        (
            replace(FACTS, ecosystems={"PyPI": replace(FRESH, newest=NOW - timedelta(31))}),
            "the dump is old",
        ),
    ],
)
def test_missing_old_or_incomplete_data_is_inconclusive_though_nothing_was_found(
    facts: StoreFacts, word: str
) -> None:
    judged = judge(lookup(facts=facts))
    assert [one.outcome for one in judged] == [Outcome.INCONCLUSIVE]
    assert word in judged[0].reason
    assert judged[0].fix


def test_the_age_that_data_may_have_is_policy() -> None:
    old = replace(FACTS, ecosystems={"PyPI": replace(FRESH, imported_at=NOW - timedelta(8))})
    policy = Policy(max_age=timedelta(days=9))
    assert judge_vulnerabilities(lookup(facts=old), (), Triage(), NOW, policy) == ()


def test_no_store_at_all_is_inconclusive() -> None:
    (one,) = judge(Lookup(trouble="there is no database of advisories"))
    assert one.outcome is Outcome.INCONCLUSIVE
    assert judge(Lookup())[0].outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("why", Why)
def test_a_component_that_was_not_looked_up_is_inconclusive_whatever_the_reason(why: Why) -> None:
    one = Unmatched(component=PARSER, why=why, detail="it is so")
    (judged,) = judge(lookup(unmatched=(one,)))
    assert judged.outcome is Outcome.INCONCLUSIVE
    assert judged.reason == "made-up-parser 0.9: it is so"


def test_an_owner_answers_for_a_component_without_an_ecosystem_but_not_for_missing_data() -> None:
    python = Component(name="python", version="3.11", purl="pkg:generic/python@3.11")
    entry = OwnedComponent(
        component="pkg:generic/python",
        owner="the security team",
        reason="watched on the list of its maker",
        review_by=date(2026, 12, 20),
    )
    for why, expected in (
        (Why.NO_RULES, Outcome.LISTED),
        (Why.NO_SOURCE, Outcome.LISTED),
        (Why.NOT_IMPORTED, Outcome.INCONCLUSIVE),
        (Why.BROKEN_RANGE, Outcome.INCONCLUSIVE),
    ):
        found = lookup(unmatched=(Unmatched(component=python, why=why, detail="x"),))
        assert judge(found, unmatched=(entry,))[0].outcome is expected, why
    found = lookup(unmatched=(Unmatched(component=python, why=Why.NO_RULES, detail="x"),))
    late = judge(found, unmatched=(entry,), now=NOW + timedelta(days=3))
    assert late[0].outcome is Outcome.LISTED
    due = judge_vulnerabilities(
        found,
        (),
        Triage(unmatched=(entry,)),
        NOW + timedelta(days=30),
        Policy(max_age=timedelta(99), max_silence=timedelta(99)),
    )
    assert [one.outcome for one in due] == [Outcome.INCONCLUSIVE]


def test_a_statement_excuses_an_advisory_whose_range_is_broken() -> None:
    broken = Unmatched(
        component=PARSER,
        why=Why.BROKEN_RANGE,
        detail="TEST-2026-0001: contradicts itself",
        advisory="TEST-2026-0001",
        names=UNFIXED.names,
    )
    assert outcome(lookup(unmatched=(broken,))) is Outcome.INCONCLUSIVE
    assert outcome(lookup(unmatched=(broken,)), STATEMENT) is Outcome.EXCUSED
    expired = replace(STATEMENT, expires=NOW)
    assert outcome(lookup(unmatched=(broken,)), expired) is Outcome.INCONCLUSIVE


def test_what_blocks_comes_first() -> None:
    unmatched = Unmatched(component=PARSER, why=Why.NO_PURL, detail="x")
    other = replace(UNFIXED, advisory="T-2", aliases=())
    judged = judge(lookup(UNFIXED, other, FIXABLE, unmatched=(unmatched,)), owned=(OWNED,))
    assert [one.outcome for one in judged] == [
        Outcome.BLOCKS_FIXABLE,
        Outcome.BLOCKS_UNOWNED,
        Outcome.INCONCLUSIVE,
        Outcome.LISTED,
    ]


@given(
    fixed=st.booleans(),
    workaround=st.booleans(),
    owned=st.booleans(),
    review=st.integers(-40, 200),
    status=st.sampled_from(VexStatus),
    names=st.sampled_from([frozenset({"CVE-2026-90001"}), frozenset({"T"})]),
    version=st.sampled_from(["0.9", "1.0", ""]),
    justification=st.sampled_from(["", "code_not_present", "protected_at_perimeter"]),
    author=st.sampled_from(["", "somebody"]),
    expires=st.none() | st.integers(-400, 800),
    stated=st.integers(-400, 40),
    age=st.integers(0, 14),
)
def test_a_release_passes_only_if_each_finding_is_excused_whole_or_unfixable_and_owned(
    fixed: bool,
    workaround: bool,
    owned: bool,
    review: int,
    status: VexStatus,
    names: frozenset[str],
    version: str,
    justification: str,
    author: str,
    expires: int | None,
    stated: int,
    age: int,
) -> None:
    hit = replace(
        UNFIXED,
        fixed_versions=("1.4.2",) if fixed else (),
        workaround="Turn it off." if workaround else "",
    )
    statement = replace(
        STATEMENT,
        status=status,
        names=names,
        version=version,
        justification=justification,
        author=author,
        expires=None if expires is None else NOW + timedelta(days=expires, hours=1),
        at=NOW + timedelta(days=stated, hours=-1),
    )
    due = (NOW + timedelta(days=review)).date()
    entry = Owned(id=OWNED.id, component=OWNED.component, owner="a", reason="b", review_by=due)
    fresh = replace(FRESH, imported_at=NOW - timedelta(days=age, hours=1))
    facts = replace(FACTS, ecosystems={"PyPI": fresh})
    judged = judge(lookup(hit, facts=facts), statement, owned=(entry,) if owned else ())
    excused = (
        status in (VexStatus.NOT_AFFECTED, VexStatus.FIXED)
        and names == {"CVE-2026-90001"}
        and version == "0.9"
        and justification == "code_not_present"
        and author == "somebody"
        and expires is not None
        and 0 <= expires < 366
        and stated <= 0
    )
    listed = not fixed and not workaround and owned and 0 <= review <= 91
    assert any(one.outcome.blocks for one in judged) is not ((excused or listed) and age < 7)
