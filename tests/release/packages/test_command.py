"""What `limpet release build` does with packages unless told otherwise, and `release lock`."""

import json
from pathlib import Path

import pytest
from tests.release.workshop import EXAMPLE

from limpet.cli._release_packages import Packages
from limpet.cli.main import run
from limpet.release.packages import LIMPET_LOCK, Target, this_machine
from limpet.release.packages._lock import parse_lock
from limpet.vendor.home import Home


def build(home: Home, place: Path, *words: str) -> int:
    trust = ["--trust", str(home.trust), "--version", "1.0.0", "--out", str(place / "out")]
    return run(["release", "build", str(EXAMPLE), *trust, *words])


def test_packages_go_in_unless_somebody_says_that_they_do_not(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert build(home, tmp_path, "--wheels", str(tmp_path / "empty")) == 3
    assert "there is no wheel of cffi" in capsys.readouterr().err
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--without-packages", "--wheels", "wheels"), "leaves nothing to choose"),
        (("--platform", "win_amd64"), "no platform of a device"),
        (("--python-version", "3.8"), "no Python '3.8'"),
        (("--wheels", "none"), "cannot read none"),
        (("--lock", "none.lock"), "none.lock"),
    ],
)
def test_options_that_make_no_firmware_are_refused(
    words: tuple[str, ...], says: str, home: Home, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert build(home, tmp_path, *words) in (1, 3)
    said = capsys.readouterr().err
    assert says in said
    assert said.count("error:") == 1
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_what_is_not_said_is_taken_from_this_machine() -> None:
    order = Packages().order()
    assert order is not None
    assert order.target == this_machine()
    other = Packages(platform="musllinux_1_2_aarch64", python_version="3.13").order()
    assert other is not None
    assert other.target == Target("musllinux_1_2_aarch64", "3.13")
    assert Packages(without_packages=True).order() is None


def test_limpets_lock_can_be_printed_and_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["release", "lock"]) == 0
    printed = capsys.readouterr().out
    assert printed == LIMPET_LOCK.read_text()
    assert len(parse_lock(printed.encode(), "limpet.lock").packages) > 7
    assert run(["release", "lock", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lock"] == printed
