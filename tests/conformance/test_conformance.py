"""The device's updater passes the whole of tuf-conformance, with no case excused.

The suite is fetched for the run (`suite.py`), and the device's own client is driven through
`client.py`. `docs/repository.md` says what that exercises.
"""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from tests.conformance.suite import CASES, PACKAGE, VARIABLE, bring_suite
from tests.needs import need

from limpet.errors import Unavailable

HERE = Path(__file__).parent
WORKERS = "2"
MOST_SECONDS = 1200


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("faketime", package="faketime", untried="TUF conformance was NOT tried")
    try:
        return bring_suite(tmp_path_factory.mktemp("suite"))
    except Unavailable as error:
        pytest.skip(f"no tuf-conformance ({VARIABLE} may name one): NOT tried: {error.message}")


def run_suite(suite: Path, entrypoint: str, report: Path, *options: str) -> dict[str, int]:
    """What the suite counted: tests, failures, errors, skipped."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    environment["PYTHONPATH"] = os.pathsep.join((str(suite), str(HERE)))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "patience", "-p", "no:cacheprovider"]
    command += ["--rootdir", str(suite), "-c", os.devnull, "-n", WORKERS, PACKAGE]
    command += [f"--entrypoint={entrypoint}", f"--junitxml={report}", *options]
    done = subprocess.run(
        command, cwd=suite, env=environment, capture_output=True, text=True, timeout=MOST_SECONDS
    )
    print(done.stdout[-8000:], done.stderr[-2000:])
    counted = next(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314 - pytest wrote it
    return {key: int(counted.get(key, -1)) for key in ("tests", "failures", "errors", "skipped")}


def client_command(tmp_path: Path) -> str:
    """The suite splits it at blanks, and a checkout's path may hold some."""
    link = tmp_path / "client"
    link.write_text(f"#!/bin/sh\nexec '{sys.executable}' -I '{HERE / 'client.py'}' \"$@\"\n")
    link.chmod(0o755)
    return str(link)


@pytest.mark.slow
@pytest.mark.timeout(MOST_SECONDS + 60)
def test_every_case_passes_against_the_devices_updater(suite: Path, tmp_path: Path) -> None:
    counted = run_suite(suite, client_command(tmp_path), tmp_path / "report.xml")
    assert counted == {"tests": CASES, "failures": 0, "errors": 0, "skipped": 0}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_suite_finds_a_client_that_believes_everything(suite: Path, tmp_path: Path) -> None:
    """The control: a run of nothing but failures would otherwise look the same as none."""
    few = ("-k", "test_faketime or test_unsigned_metadata")
    counted = run_suite(suite, "/bin/true", tmp_path / "report.xml", *few)
    assert counted["failures"] == counted["tests"] == 5
