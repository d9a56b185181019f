"""The positive control of every rule: the thermostat, as it is."""

import json
import shutil
from pathlib import Path

import jsonschema_rs
import pytest
from tests.device.workshop import lacking_here
from tests.release.advisories.records import record
from tests.release.gate.bench import Bench
from tests.release.packages.real import real_packages
from tests.release.workshop import EXAMPLE

from limpet.cli.main import run
from limpet.demo.world import bear_gaps, renew_dates
from limpet.release.gate import Verdict
from limpet.release.testing import run_tests


def test_the_sound_product_passes_every_rule(sound: Bench) -> None:
    report = sound.judge()
    assert [
        (one.rule, one.finding.faults)
        for one in report.judgements
        if one.finding.verdict is not Verdict.PASSED
    ] == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_thermostat_passes_with_its_own_tests_and_the_command_says_so(
    bench: Bench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sarif: jsonschema_rs.Draft7Validator,
) -> None:
    """With the packages that it is shipped with, for the gate starts one of its devices.

    Of its tests, the fast ones, and one for the made-up advisory, for it had no vulnerability yet.
    """
    (bench.product / "device.lock").unlink()
    shutil.copy(EXAMPLE / "vulnerabilities.toml", bench.product)
    renew_dates(bench.product, today=bench.now.date())
    bear_gaps(bench.product / "product.toml", lacking_here())
    crate = record("RUSTSEC-2026-1", "made-up-crate", ecosystem="crates.io")
    bench.bring_dump("crates.io", crate)
    shutil.copytree(
        EXAMPLE / "tests", bench.product / "tests", ignore=shutil.ignore_patterns("__pycache__")
    )
    bench.write("tests/test_claim.py", "def test_a_short_code_is_refused():\n    pass\n")
    bench.rebuild("Test it", packages=real_packages())
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    ran = run_tests(
        bench.product, bench.work / "junit.xml", seconds=120, more=("-k", "control or short_code")
    )
    assert ran.result.cases
    words = ["--release", str(bench.release), "--repository", str(bench.home.repository)]
    words += ["--advisories", str(bench.work / "advisories.sqlite")]
    words += ["--tests", str(bench.work / "junit.xml"), "--sarif", str(tmp_path / "gate.sarif")]
    status = run(["release", "check", str(bench.product), *words, "--json"])
    told = json.loads(capsys.readouterr().out)
    doubted = [
        one["finding"] for one in told["judgements"] if one["finding"]["verdict"] != "passed"
    ]
    assert (doubted, status) == ([], 0)
    written = json.loads((tmp_path / "gate.sarif").read_text())
    results = written["runs"][0]["results"]
    noted = [one for one in results if one["level"] == "warning"]
    assert len(results) - len(noted) == len(told["judgements"])
    assert len(noted) == sum(len(one["finding"].get("notes", ())) for one in told["judgements"])
    assert [str(one) for one in sarif.iter_errors(written)] == []
