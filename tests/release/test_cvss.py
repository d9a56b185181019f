"""Scores of CVSS 3.x against those that its authors publish, and what is no vector."""

import pytest

from limpet.errors import Rejected
from limpet.release.cvss import parse_cvss, severity_of

# From FIRST's own examples of 3.1, and one for each way in which the arithmetic can turn.
KNOWN = {
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N": 6.1,
    "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N": 6.4,
    "CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N": 3.1,
    "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H": 7.8,
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N": 7.5,
    "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H": 10.0,
    "CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H": 6.8,
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N": 0.0,
}


@pytest.mark.parametrize(("vector", "score"), KNOWN.items(), ids=list(KNOWN))
def test_a_vector_has_the_score_that_its_authors_give_it(vector: str, score: float) -> None:
    assert parse_cvss(vector).base == score


@pytest.mark.parametrize(
    "text",
    [
        "",
        "CVSS:3.1/AV:N",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:P",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
        "CVSS:3.1/AC:L/AV:N/PR:N/UI:N/S:U/C:H/I:H/A:H",
    ],
)
def test_what_is_no_base_vector_is_refused(text: str) -> None:
    with pytest.raises(Rejected, match="no base vector"):
        parse_cvss(text)


def test_the_word_comes_from_a_vector_or_a_word_and_else_is_none() -> None:
    assert severity_of("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:P") == "critical"
    assert severity_of("MODERATE") == "medium"
    assert severity_of("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H") == "unrated"
    assert severity_of("\x1b[31mhigh") == "unrated"
