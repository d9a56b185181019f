"""What a test needs is there in CI or the run fails; what is asked for is what `./run` installs."""

import ast
import os
import re
from pathlib import Path

import pytest
from tests.needs import judge, lacking, need, needs
from tests.order import SECONDS, longest_first

ROOT = Path(__file__).parents[1]
ABSENT = "limpet-no-such-program"
ESSENTIAL = {"dpkg"}  # every Debian has it


@pytest.fixture
def in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.usefixtures("in_ci")
def test_what_is_missing_in_ci_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"no limpet-no-such-program \(Debian: none\)"):
        need("sh", ABSENT, package="none", untried="nothing was done")
    with pytest.raises(pytest.fail.Exception, match="no /no/such"):
        need("/no/such", package="none", untried="nothing was done")


@pytest.mark.parametrize(("ci", "user"), [("", 0), ("true", 1000)])
def test_elsewhere_it_is_left_out_and_says_what_was_not_tried(
    ci: str, user: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    with pytest.raises(pytest.skip.Exception, match="nothing was done"):
        need(ABSENT, package="none", untried="nothing was done")
    with pytest.raises(pytest.skip.Exception, match="as it is"):
        lacking("as it is")


@pytest.mark.usefixtures("in_ci")
def test_what_is_there_is_no_reason() -> None:
    need("sh", "/bin/sh", package="dash", untried="nothing")


def test_a_mark_is_judged_before_the_test(request: pytest.FixtureRequest, in_ci: None) -> None:
    request.node.add_marker(needs(ABSENT, package="none", untried="nothing"))
    with pytest.raises(pytest.fail.Exception):
        judge(request.node)


def test_what_takes_root_is_left_out_for_an_ordinary_user_in_ci_too(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    request.node.add_marker(needs("sh", package="dash", untried="nothing", root="a mount"))
    with pytest.raises(pytest.skip.Exception, match="takes root: a mount: nothing"):
        judge(request.node)


def test_every_package_that_is_asked_for_is_one_that_run_installs() -> None:
    body = re.search(r"debian_packages\(\) \{(.*?)\n\}", (ROOT / "run").read_text(), re.DOTALL)
    assert body is not None
    installed = set(re.findall(r"[a-z0-9][a-z0-9.+-]+", body[1])) | ESSENTIAL
    asked = {package for text in _asked_for() for package in text.split()}
    assert len(asked) > 20
    assert asked - installed == set()


def _asked_for() -> list[str]:
    """The `package=` of each call of `need` and `needs`, but for those of this file."""
    found = []
    for file in (ROOT / "tests").rglob("*.py"):
        if file == Path(__file__):
            continue
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("need", "needs"):
                found += [
                    str(one.value.value)
                    for one in node.keywords
                    if one.arg == "package" and isinstance(one.value, ast.Constant)
                ]
    return found


def test_nothing_else_asks_whether_this_is_ci() -> None:
    own = {Path(__file__), Path(__file__).with_name("needs.py")}
    asking = re.compile(r"environ\W+(get\W+)?CI\b|[\"']CI[\"'] (not )?in os")
    files = set((ROOT / "tests").rglob("*.py")) - own
    assert [file.name for file in files if asking.search(file.read_text("utf-8"))] == []


def test_the_files_that_come_first_are_there() -> None:
    assert [name for name in SECONDS if not (ROOT / name).is_file()] == []


def test_the_longest_come_first_then_real_processes_and_a_file_stays_whole() -> None:
    first = max(SECONDS, key=lambda name: SECONDS[name])
    names = [
        "tests/a.py::x",
        "tests/end_to_end/b.py::x",
        "tests/a.py::y",
        f"{first}::y",
        f"{first}::x",
    ]
    wanted = [names[3], names[4], names[1], names[0], names[2]]
    assert sorted(names, key=longest_first) == wanted
