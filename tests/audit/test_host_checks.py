"""The checks of processes and of where they are connected to, one finding at a time."""

import pytest
from tests.audit import specimens as s
from tests.audit.test_other_checks import _page as page
from tests.audit.test_other_checks import _pages as pages
from tests.audit.test_other_checks import hosted, run

from limpet.audit.finding import Verdict


def test_a_connection_to_a_stranger_fails() -> None:
    stray = s.processes_with("app", sockets=(s.socket(40002, ("192.0.2.9", 6667)),))
    finding = run("R2.1d", hosted(read_processes=stray))
    assert finding.verdict is Verdict.FAIL
    assert "192.0.2.9:6667" in finding.evidence


def test_a_published_policy_that_permits_more_than_the_design_fails() -> None:
    wider = pages()["mud"].body.decode().replace('"port": 8443', '"port": 23')
    finding = run("R2.1d", hosted(read_pages=pages(mud=page(wider))))
    assert finding.verdict is Verdict.FAIL
    assert "does not say what the design says" in finding.evidence
    absent = run("R2.1d", hosted(read_pages=pages(mud=page("", 404))))
    assert "publishes no MUD file" in absent.evidence
    sound = run("R2.1d", hosted())
    assert "permits the design's" in sound.evidence
    assert sound.verdict is absent.verdict


def test_a_missing_process_is_not_taken_for_a_confined_one() -> None:
    without = tuple(one for one in s.processes() if one.role != "keeper")
    finding = run("R2.6.1a", hosted(read_processes=without))
    assert finding.verdict is Verdict.COULD_NOT_DETERMINE


def test_a_role_at_rest_needs_no_process_and_one_that_runs_is_judged_all_the_same() -> None:
    without = tuple(one for one in s.processes() if one.role != "keeper")
    resting = frozenset({"keeper"})
    finding = run("R2.6.1a", hosted(read_processes=without, read_resting=resting))
    assert finding.verdict is Verdict.PASS
    assert "at rest: keeper" in finding.evidence
    loose = s.processes_with("keeper", mapped=s.Mapped(1, 4096))
    finding = run("R2.6.1a", hosted(read_processes=loose, read_resting=resting))
    assert finding.verdict is Verdict.FAIL


def test_a_role_that_can_still_make_memory_executable_fails() -> None:
    finding = run("R2.6.1a", hosted(read_mechanisms=s.mechanisms(app=True)))
    assert finding.verdict is Verdict.FAIL
    assert "executable in app" in finding.evidence


def test_a_role_that_says_nothing_about_new_code_is_not_taken_for_a_sound_one() -> None:
    silent = tuple(one for one in s.mechanisms() if one.role != "keeper")
    finding = run("R2.6.1a", hosted(read_mechanisms=silent))
    assert finding.verdict is Verdict.COULD_NOT_DETERMINE
    assert "keeper says nothing" in finding.evidence


@pytest.mark.parametrize(
    "changed",
    [
        {"no_new_privileges": False},
        {"effective_capabilities": 1 << 21},
        {"seccomp_mode": 0},
    ],
)
def test_each_privilege_that_was_not_given_up_fails(changed: dict[str, object]) -> None:
    finding = run("R2.6.2", hosted(read_processes=s.processes_with("updater", **changed)))
    assert finding.verdict is Verdict.FAIL
    assert "updater" in finding.evidence
