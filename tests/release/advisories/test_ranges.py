"""OSV's ranges: evaluated as its schema says, and never when they are broken."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.release.advisories._osv import Affected, Event, Range
from limpet.release.advisories._ranges import Verdict, decide_affected, describe
from limpet.release.advisories._versions import SEMVER, make_parser

PYPI, SEMANTIC = make_parser("PyPI"), make_parser(SEMVER)


def affected(
    *events: Mapping[str, str], kind: str = "ECOSYSTEM", versions: Sequence[str] = ()
) -> Affected:
    ranges = (Range(type=kind, events=tuple(Event(**one) for one in events)),) if events else ()
    return Affected(ranges=ranges, versions=tuple(versions))


def decide(version: str, *entries: Affected) -> Verdict:
    return decide_affected(entries, version, PYPI, lambda: SEMANTIC).verdict


def events(*words: str) -> list[Mapping[str, str]]:
    return [{word.partition(" ")[0]: word.partition(" ")[2]} for word in words]


@pytest.mark.parametrize(
    ("said", "inside", "outside"),
    [
        (events("introduced 0"), ["0.0.1.dev1", "9"], []),
        (events("introduced 0", "fixed 1.0.2"), ["1.0.1", "1.0.2rc1"], ["1.0.2", "1.1"]),
        (
            events("introduced 1.0", "fixed 1.2", "introduced 3.0", "fixed 3.2"),
            ["1.0", "1.1", "3.1"],
            ["0.9", "1.2", "2.0", "3.2", "4"],
        ),
        (events("introduced 0", "last_affected 2.1"), ["2.1", "2.1.0"], ["2.1.1"]),
        (events("introduced 1.0", "last_affected 1.0"), ["1.0"], ["0.9", "1.0.1"]),
        (events("fixed 2.0", "introduced 1.0"), ["1.5"], ["0.5", "2.0"]),
        (events("introduced 0", "limit 2.0"), ["1.9"], ["2.0"]),
        (events("introduced 0", "limit 1.0", "limit 2.0"), ["1.9"], ["2.0"]),
        (events("introduced 0", "limit *"), ["9"], []),
    ],
)
def test_a_whole_range_is_evaluated_as_the_schema_says(
    said: list[Mapping[str, str]], inside: list[str], outside: list[str]
) -> None:
    for version in inside:
        assert decide(version, affected(*said)) is Verdict.AFFECTED, version
    for version in outside:
        assert decide(version, affected(*said)) is Verdict.UNAFFECTED, version


@pytest.mark.parametrize(
    "said",
    [
        events("introduced 2.0", "fixed 1.0"),
        events("fixed 1.0"),
        events("last_affected 1.0"),
        events("introduced 0", "fixed 1.0", "fixed 2.0"),
        events("introduced 0", "introduced 1.0", "fixed 2.0"),
        events("introduced 1.0", "fixed 1.0"),
        events("introduced 0", "fixed 1.0", "introduced 1.0", "fixed 2.0"),
        events("introduced 0", "fixed 1.0", "introduced 2.0", "last_affected 3.0"),
        events("introduced 0", "introduced 0"),
        events("introduced 0", "fixed not-a-version"),
        events("introduced 0", "limit not-a-version"),
        events("limit 9.0"),
        [{"introduced": "0", "fixed": "1.0"}],
        [{}],
    ],
)
def test_a_broken_range_is_broken_for_every_version_and_never_unaffected(
    said: list[Mapping[str, str]],
) -> None:
    for version in ("0.5", "1.0", "1.5", "2.0", "3.5"):
        assert decide(version, affected(*said)) is Verdict.BROKEN, version


def test_a_version_that_is_listed_is_affected_even_if_a_range_is_broken() -> None:
    entry = affected(*events("fixed 1.0"), versions=["1.4", "2004d"])
    assert decide("1.4", entry) is Verdict.AFFECTED
    assert decide("1.4.0", entry) is Verdict.AFFECTED
    assert decide("1.5", entry) is Verdict.BROKEN


def test_commits_alone_decide_nothing_but_a_list_beside_them_does() -> None:
    commits = events("introduced 0", "fixed 0123456789abcdef0123456789abcdef01234567")
    assert decide("1.0", affected(*commits, kind="GIT")) is Verdict.GIT_ONLY
    listed = affected(*commits, kind="GIT", versions=["1.0"])
    assert decide("1.0", listed) is Verdict.AFFECTED
    assert decide("1.1", listed) is Verdict.UNAFFECTED


def test_an_entry_that_names_no_versions_or_an_unknown_kind_is_broken() -> None:
    assert decide("1.0", affected()) is Verdict.BROKEN
    assert decide("1.0", affected(*events("introduced 0"), kind="CALVER")) is Verdict.BROKEN


def test_a_semantic_range_does_not_take_what_is_no_semantic_version() -> None:
    entry = affected(*events("introduced 0", "fixed 2.0.0"), kind="SEMVER")
    assert decide("1.0.0", entry) is Verdict.AFFECTED
    assert decide("2.0.0", entry) is Verdict.UNAFFECTED
    assert decide("1.0.post1", entry) is Verdict.BROKEN


def test_one_entry_that_certainly_concerns_it_decides_over_a_broken_one() -> None:
    broken, whole = affected(*events("fixed 1.0")), affected(*events("introduced 0"))
    assert decide("1.0", broken, whole) is Verdict.AFFECTED
    assert decide("1.0", affected(*events("introduced 2.0")), broken) is Verdict.BROKEN


def test_what_is_fixed_where_it_was_introduced_holds_no_version_and_hides_no_other() -> None:
    """As RUSTSEC-2024-0399 and three more of 1,206 real advisories have it, first and last."""
    first = affected(*events("introduced 0.9", "fixed 0.9", "introduced 1.0", "fixed 1.2"))
    last = affected(*events("introduced 1.0", "fixed 1.2", "introduced 2.0", "fixed 2.0"))
    open_ended = affected(*events("introduced 0.9", "fixed 0.9", "introduced 1.0"))
    for entry in (first, last):
        for version in ("0.8", "0.9", "1.2", "2.0", "2.1"):
            assert decide(version, entry) is Verdict.UNAFFECTED, version
        assert decide("1.1", entry) is Verdict.AFFECTED
    assert decide("0.9", open_ended) is Verdict.UNAFFECTED
    assert decide("3.0", open_ended) is Verdict.AFFECTED
    assert decide("0.9", affected(*events("introduced 0.9", "fixed 0.9"))) is Verdict.BROKEN


def test_only_later_fixes_are_named() -> None:
    entry = affected(*events("introduced 1.0", "fixed 1.2", "introduced 3.0", "fixed 3.2"))
    assert decide_affected([entry], "1.1", PYPI, lambda: SEMANTIC).fixed == ("1.2", "3.2")
    assert decide_affected([entry], "3.1", PYPI, lambda: SEMANTIC).fixed == ("3.2",)


def test_a_range_is_described_for_a_person_in_bounded_length() -> None:
    assert describe([affected(*events("introduced 1.0", "fixed 1.2"))]) == ">= 1.0, < 1.2"
    assert len(describe([affected(versions=["1.0.0"] * 1000)])) <= 300


@given(
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=8, unique=True).map(sorted),
    version=st.integers(0, 70),
    last=st.booleans(),
    order=st.randoms(use_true_random=False),
)
def test_whatever_the_order_of_events_the_answer_is_that_of_the_intervals(
    cuts: list[int], version: int, last: bool, order: object
) -> None:
    end = "last_affected" if last else "fixed"
    said: list[Mapping[str, str]] = [
        {("introduced" if index % 2 == 0 else end): f"{cut}.0"} for index, cut in enumerate(cuts)
    ]
    inside = False
    for begin, finish in zip(cuts[::2], [*cuts[1::2], None][: len(cuts[::2])], strict=True):
        inside |= begin <= version and (finish is None or version < finish + last)
    order.shuffle(said)  # type: ignore[attr-defined]
    expected = Verdict.AFFECTED if inside else Verdict.UNAFFECTED
    assert decide(f"{version}.0", affected(*said)) is expected


@given(
    said=st.lists(
        st.dictionaries(
            st.sampled_from(["introduced", "fixed", "last_affected", "limit"]),
            st.sampled_from(["0", "1.0", "2.0", "3.0", "x", ""]),
            max_size=2,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_unaffected_is_only_said_of_a_range_that_is_whole(said: list[dict[str, str]]) -> None:
    verdict = decide("1.5", affected(*said))
    if verdict is Verdict.UNAFFECTED and not any("limit" in one for one in said):
        assert all(len(one) == 1 for one in said)
        assert any("introduced" in one for one in said)
        assert not any(text in ("x", "") for one in said for text in one.values())
