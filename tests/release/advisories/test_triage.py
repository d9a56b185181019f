"""`vulnerabilities.toml`: who answers for what cannot be fixed."""

from pathlib import Path

import pytest
from tests.release.advisories.test_judge import OWNED

from limpet.errors import Rejected
from limpet.release.advisories import Triage, load_triage


def test_a_triage_file_is_read_and_an_absent_one_owns_nothing(tmp_path: Path) -> None:
    assert load_triage(tmp_path) == Triage()
    (tmp_path / "vulnerabilities.toml").write_text(
        """
[[vulnerabilities]]
id = "CVE-2026-90001"
component = "pkg:pypi/made-up-parser"
owner = "the security team"
reason = "no fix yet; it is off by default"
review_by = 2026-12-20

[[unmatched]]
component = "pkg:generic/python"
owner = "the security team"
reason = "watched on the list of its maker"
review_by = 2026-12-20
"""
    )
    triage = load_triage(tmp_path)
    assert triage.vulnerabilities == (OWNED,)
    assert triage.unmatched[0].component == "pkg:generic/python"


@pytest.mark.parametrize(
    "text",
    [
        "vulnerabilities = 1",
        "[[vulnerabilities]]\nid = 'CVE-1'",
        "[[vulnerability]]\nid = 'CVE-1'",
        "[[vulnerabilities]]\nid='C'\ncomponent='p'\nowner=''\nreason='r'\nreview_by=2026-12-20",
        "[[vulnerabilities]]\nid='C'\ncomponent='p'\nowner='o'\nreason=' '\nreview_by=2026-12-20",
        "[[vulnerabilities]]\nid='C'\ncomponent='p'\nowner='o'\nreason='r'\nreview_by='soon'",
        "[[vulnerabilities]]\nid='C'\ncomponent='p'\nowner='o'\nreason='r'\nreview_by=2026-12-20\n"
        "severity='low'",
        "not toml",
        "[" * 10_000,
    ],
)
def test_a_triage_file_of_another_form_is_refused_and_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "vulnerabilities.toml").write_text(text)
    with pytest.raises(Rejected, match=r"vulnerabilities\.toml") as refused:
        load_triage(tmp_path)
    assert refused.value.reason == "malformed"
