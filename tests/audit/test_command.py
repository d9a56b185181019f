"""`limpet audit` as a person or a script meets it."""

import json
import subprocess
from pathlib import Path

from tests import commands
from tests.audit.little_device import Flaws, LittleDevice, little_device
from tests.audit.specimens import THERMOSTAT

NOBODY = "https://127.0.0.1:1"


def limpet(*arguments: object) -> subprocess.CompletedProcess[str]:
    return commands.limpet("audit", *arguments)


def given(device: LittleDevice, directory: Path) -> tuple[object, ...]:
    (directory / "root.pem").write_bytes(device.root_pem)
    (directory / "token").write_text(device.token + "\n")
    root = directory / "root.pem"
    return device.endpoint, "--device-root", root, "--token-file", directory / "token"


def test_a_sound_device_ends_with_0_and_the_table_names_the_totals(tmp_path: Path) -> None:
    with little_device() as device:
        done = limpet(*given(device, tmp_path), "--only", "R2.3.1a,R2.4.2d,R5.3b")
    assert done.returncode == 0, done.stderr
    assert "3 statements" in done.stdout
    assert "3 pass" in done.stdout
    assert device.token not in done.stdout + done.stderr


def test_a_vulnerable_device_ends_with_1_and_the_json_has_the_evidence(tmp_path: Path) -> None:
    with little_device(Flaws(open_policy=True)) as device:
        done = limpet(
            *given(device, tmp_path), "--only", "R2.4.2d", "--json", tmp_path / "report.json"
        )
    assert done.returncode == 1, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["totals"]["fail"] == 1
    assert "no token: 204" in report["entries"][0]["evidence"]


def test_nothing_determined_ends_with_3() -> None:
    done = limpet(NOBODY, "--only", "R2.3.1a,R5.3b", "--json", "-")
    assert done.returncode == 3
    verdicts = {entry["verdict"] for entry in json.loads(done.stdout)["entries"]}
    assert verdicts == {"could not determine"}


def test_all_65_statements_are_reported_even_if_the_device_is_gone() -> None:
    done = limpet(NOBODY, "--product", THERMOSTAT, "--json", "-")
    assert len(json.loads(done.stdout)["entries"]) == 65
    assert done.returncode == 3
    assert "nothing answers at https://127.0.0.1:1" in done.stderr


def test_bad_arguments_are_one_clear_line_each(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("")
    for arguments, word in (
        (("http://127.0.0.1",), "https"),
        ((NOBODY, "--only", "R9.9"), "R9.9"),
        ((NOBODY, "--fail-on", "maybe"), "maybe"),
        ((NOBODY, "--token-file", tmp_path / "none"), "none"),
        ((NOBODY, "--token-file", empty), "token"),
        ((NOBODY, "--device", tmp_path / "none"), "none"),
        ((NOBODY, "--resolve", "x"), "HOST:PORT"),
    ):
        done = limpet(*arguments)
        assert done.returncode not in (0, 70), done.stderr
        assert word in done.stderr, done.stderr
        assert "Traceback" not in done.stderr


def test_a_broken_design_file_is_the_reason_that_is_shown(tmp_path: Path) -> None:
    (tmp_path / "product.toml").write_text("[maker]\nname = 3\n")
    done = limpet(NOBODY, "--product", tmp_path, "--only", "R2.1.1a", "--json", "-")
    evidence = json.loads(done.stdout)["entries"][0]["evidence"]
    assert "product.toml:2" in evidence
