"""The result of tests as anybody may have written it: read safely, or refused."""

import pytest

from limpet.errors import Rejected
from limpet.release.testing import RESULT_BYTES, Outcome, mark_result, read_result

LAUGHS = (
    b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b'<testsuite><testcase classname="&b;" name="x"/></testsuite>'
)
OUTSIDE = (
    b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
    b'<testsuite><testcase classname="&a;" name="x"/></testsuite>'
)
ELSEWHERE = b'<!DOCTYPE testsuite SYSTEM "http://127.0.0.1:9/x.dtd"><testsuite/>'
WHOLE = (
    b'<testsuites><testsuite failures="1" errors="1"><properties>'
    b'<property name="commit" value="abc"/><property name="tree" value="clean"/></properties>'
    b'<testcase classname="tests.test_x" name="test_a"/>'
    b'<testcase classname="tests.test_x" name="test_b[1]"><failure message="no">long</failure>'
    b"</testcase>"
    b'<testcase classname="tests.test_x" name="test_b[2]"/>'
    b'<testcase classname="tests.test_x.TestY" name="test_c"><error message="x"/></testcase>'
    b'<testcase classname="tests.test_x" name="test_d"><skipped message="slow"/></testcase>'
    b"</testsuite></testsuites>"
)


def test_what_pytest_writes_is_read() -> None:
    result = read_result(WHOLE)
    assert [one.outcome for one in result.cases] == [
        *(Outcome.PASSED, Outcome.FAILED, Outcome.PASSED, Outcome.ERROR, Outcome.SKIPPED),
    ]
    assert (result.commits, result.trees, result.counted) == ({"abc"}, {"clean"}, 2)
    assert result.cases[1].why == "no"


@pytest.mark.parametrize(
    ("test", "found"),
    [
        ("tests/test_x.py::test_a", ["test_a"]),
        ("tests/test_x.py::test_b", ["test_b[1]", "test_b[2]"]),
        ("tests/test_x.py::test_b[2]", ["test_b[2]"]),
        ("tests/test_x.py::TestY::test_c", ["test_c"]),
        ("tests/test_x.py::test_c", []),
        ("test_x.py::test_a", []),
        ("tests/test_x.py", []),
        ("tests/test_x.py::", []),
        ("", []),
    ],
)
def test_a_test_is_found_by_pytests_id_and_by_nothing_less(test: str, found: list[str]) -> None:
    assert [one.name for one in read_result(WHOLE).find(test)] == found


@pytest.mark.parametrize("data", [LAUGHS, OUTSIDE, ELSEWHERE], ids=["laughs", "file", "dtd"])
def test_a_document_type_is_refused_before_anything_of_it_is_read(data: bytes) -> None:
    with pytest.raises(Rejected, match="declares a document type") as refused:
        read_result(data)
    assert refused.value.reason == "bad-result"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<testsuite>",
        b"<html/>",
        b"\xff\xfe\x00",
        b'<?xml version="1.0" encoding="no-such"?><testsuite/>',
        b"<testsuite>" * 17 + b"</testsuite>" * 17,
        b"<testsuite>" * 100_000,
        b'<testsuite><testcase name="a" name="b"/></testsuite>',
    ],
)
def test_what_is_no_result_is_refused(data: bytes) -> None:
    with pytest.raises(Rejected) as refused:
        read_result(data)
    assert refused.value.reason == "bad-result"


def test_a_result_of_any_length_is_not_read() -> None:
    with pytest.raises(Rejected) as refused:
        read_result(b" " * (RESULT_BYTES + 1))
    assert refused.value.reason == "too-large"


def test_a_counter_that_is_no_number_counts_as_a_failure() -> None:
    assert read_result(b'<testsuite failures="-1"><testcase name="x"/></testsuite>').counted == 1


def test_two_suites_of_which_one_names_no_commit_are_both_told() -> None:
    one = b'<testsuite><properties><property name="commit" value="abc"/></properties>%s</testsuite>'
    case = b'<testcase classname="t" name="x"/>'
    data = b"<testsuites>%s<testsuite>%s</testsuite></testsuites>" % (one % case, case)
    assert read_result(data).commits == {"abc", ""}


def test_a_commit_that_is_named_twice_is_none() -> None:
    twice = b'<property name="commit" value="a"/><property name="commit" value="b"/>'
    data = b'<testsuite><properties>%s</properties><testcase name="x"/></testsuite>' % twice
    assert read_result(data).commits == {""}


def test_marking_replaces_what_was_there_and_keeps_what_tests_said() -> None:
    marked = mark_result(WHOLE, commit="def", tree="changed")
    assert (read_result(marked).commits, read_result(marked).trees) == ({"def"}, {"changed"})
    assert b">long</failure>" in marked
    assert mark_result(marked, commit="def", tree="changed") == marked


def test_what_cannot_be_printed_reaches_no_terminal() -> None:
    data = b'<testsuite><testcase classname="t" name="a&#x9b;2J&#10;b"/></testsuite>'
    assert read_result(data).cases[0].name.isprintable()
