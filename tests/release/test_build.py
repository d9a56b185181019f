"""What goes into firmware, and the command that builds, signs and publishes it."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.release.workshop import EXAMPLE, now, order

from limpet.cli.main import run
from limpet.crypto.keys import generate_signing_key, key_to_pem
from limpet.errors import Rejected, Unavailable
from limpet.firmware import image
from limpet.firmware.codec import LEVEL, pack_group
from limpet.firmware.image import range_reader
from limpet.firmware.installation import install_image
from limpet.firmware.tree import digest_tree
from limpet.release import (
    Built,
    build_release,
    load_built,
)
from limpet.release._bytecode import PYTHON_TAG
from limpet.vendor.home import Home
from limpet.vendor.repository import Repository


def install(built: Built, slot: Path) -> Path:
    install_image(
        built.manifest.image,
        range_reader(built.image),
        slot,
        journal=slot.with_name("journal"),
    )
    return slot


def test_a_firmware_holds_the_app_the_roots_and_only_the_code_that_a_device_needs(
    built: Built, tmp_path: Path
) -> None:
    slot = install(built, tmp_path / "slot")
    assert sorted(path.name for path in slot.iterdir()) == [
        "app", "firmware.json", "interface.json", "product.toml", "runtime", "trust",
    ]  # fmt: skip
    packages = {path.name for path in (slot / "runtime" / "limpet").iterdir()}
    assert packages == {
        "__init__.py", "__pycache__", "py.typed", "errors.py", "storage.py",
        "crypto", "https", "product", "wire", "firmware", "device",
    }  # fmt: skip
    assert sorted(path.name for path in (slot / "trust").iterdir()) == [
        "device-root.pem", "root.json", "service-root.pem",
    ]  # fmt: skip


def test_the_code_in_a_firmware_runs_without_the_installed_limpet(
    built: Built, tmp_path: Path
) -> None:
    """The image carries everything of limpet that the updater's own code imports."""
    slot = install(built, tmp_path / "slot")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "import limpet.device.updater.role, limpet.device.gateway.role, limpet.device.boot;"
        "bad = [n for n, m in sys.modules.items() if n.startswith('limpet')"
        " and not m.__file__.startswith(sys.argv[1])]; print(bad)"
    )
    command = [sys.executable, "-I", "-B", "-c", program, str(slot / "runtime")]
    found = subprocess.run(command, capture_output=True, text=True, timeout=150)
    assert found.stdout.strip() == "[]", found.stderr


def test_two_builds_with_the_same_time_are_equal(
    product: Path, home: Home, built: Built, tmp_path: Path
) -> None:
    for file in product.rglob("*"):
        os.utime(file, (0, 0))
    again = build_release(order(product, home), tmp_path / "again")
    assert again.manifest_sha256 == built.manifest_sha256
    assert again.image.read_bytes() == built.image.read_bytes()


def test_a_release_is_packed_as_its_order_says(
    product: Path, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = []

    def pack(data: bytes, level: int) -> bytes:
        levels.append(level)
        return pack_group(data, 1)

    monkeypatch.setattr(image, "pack_group", pack)
    build_release(replace(order(product, home), level=7), tmp_path / "quick")
    build_release(order(product, home), tmp_path / "usual")
    assert set(levels[: len(levels) // 2]) == {7}
    assert set(levels[len(levels) // 2 :]) == {LEVEL}


def test_what_editors_and_python_leave_behind_does_not_go_into_firmware(
    product: Path, home: Home, built: Built, tmp_path: Path
) -> None:
    for place in (product / "app", product / "app" / "thermostat"):
        (place / "__pycache__").mkdir()
        for name in ("x.pyc", "functions.cpython-312.pyc", f"__init__.{PYTHON_TAG}.pyc"):
            (place / "__pycache__" / name).write_bytes(b"x")
    (product / "app" / "functions.pyc").write_bytes(b"x")
    (product / "app" / ".secret").write_text("x")
    again = build_release(order(product, home), tmp_path / "again")
    assert again.manifest.image == built.manifest.image


@pytest.mark.parametrize("kind", ["link", "key", "name"])
def test_what_must_not_be_in_firmware_stops_the_build(
    product: Path, home: Home, tmp_path: Path, kind: str
) -> None:
    match kind:
        case "link":
            (product / "app" / "passwd").symlink_to("/etc/passwd")
        case "key":
            (product / "app" / "debug.pem").write_bytes(key_to_pem(generate_signing_key()))
        case _:
            (product / "app" / "two words").write_text("x")
    with pytest.raises(Rejected) as refused:
        build_release(order(product, home), tmp_path / "out")
    assert refused.value.reason == "not-firmware"
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert not list((tmp_path / "out").glob(".build-*"))


@pytest.mark.parametrize("version", ["1.0", "v1.0.0", "1.0.0-rc1", "01.0.0", ""])
def test_a_version_that_cannot_be_ordered_is_refused(
    product: Path, home: Home, tmp_path: Path, version: str
) -> None:
    with pytest.raises(Rejected) as refused:
        build_release(order(product, home, version), tmp_path / "out")
    assert "1.2.0" in str(refused.value)


def test_a_release_is_never_built_over_another(product: Path, home: Home, built: Built) -> None:
    with pytest.raises(Unavailable):
        build_release(order(product, home), built.directory)


def test_show_refuses_a_release_without_an_image(built: Built) -> None:
    built.image.unlink()
    with pytest.raises(Unavailable):
        load_built(built.directory)


def test_the_command_builds_signs_publishes_and_shows(
    tmp_path: Path, home: Home, product: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    words = ["--trust", str(home.trust), "--version", "2.0.0", "--out", out, "--without-packages"]
    assert run(["release", "build", str(product), *words, "--largest-step", "10"]) == 0
    drawer = ["--offline", str(home.offline), "--repository", str(home.repository)]
    for wrong, advice in (
        ({"--offline": str(tmp_path / "drawr")}, "no such directory"),
        ({"--offline": str(home.trust)}, "no drawer"),
    ):
        words = [
            wrong.get(before, word) for before, word in zip(["", *drawer[:-1]], drawer, strict=True)
        ]
        assert run(["release", "sign", out, *words]) == 3
        assert advice in capsys.readouterr().err
    for key in home.offline.glob("releases-thermostat*.pem"):  # the design's model is mistyped
        key.rename(key.with_name(key.name.replace("thermostat", "thermostatt")))
    assert run(["release", "sign", out, *drawer]) == 3
    assert "it has keys of thermostatt:" in capsys.readouterr().err
    for key in home.offline.glob("releases-thermostatt*.pem"):
        key.rename(key.with_name(key.name.replace("thermostatt", "thermostat")))
    assert run(["release", "sign", out, *drawer]) == 0
    assert run(["release", "publish", out, "--vendor", str(home.root)]) == 0
    capsys.readouterr()
    assert run(["release", "show", out, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["version"], shown["bounds"]["largest_step_ppm"]) == ("2.0.0", 100_000)
    assert shown["tree_sha256"] == digest_tree(install(load_built(Path(out)), tmp_path / "slot"))


def test_the_command_states_support_until_the_end_of_the_day(
    tmp_path: Path, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", "thermostat", "--until", "2033-06-30", "--text", "Until June."]
    drawer = ["--offline", str(home.offline), "--repository", str(home.repository)]
    out = str(tmp_path / "support")
    assert run(["release", "support", *words, *drawer, "--out", out]) == 0
    assert run(["release", "publish", out, "--vendor", str(home.root)]) == 0
    statement = Repository(home, now).support()
    assert statement is not None
    assert statement.until == datetime(2033, 6, 30, 23, 59, 59, tzinfo=UTC)


def test_the_command_says_in_one_line_what_is_missing(
    tmp_path: Path, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--trust", str(tmp_path / "no"), "--version", "1.0.0", "--out", str(tmp_path / "o")]
    assert run(["release", "build", str(EXAMPLE), *words]) == 3
    said = capsys.readouterr().err
    assert said.count("error:") == 1
    assert "Traceback" not in said


def test_a_source_date_fixes_the_build_time(
    tmp_path: Path, home: Home, product: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    out = tmp_path / "out"
    words = ["--trust", str(home.trust), "--version", "1.0.0", "--out", str(out)]
    words.append("--without-packages")
    assert run(["release", "build", str(product), *words]) == 0
    assert load_built(out).manifest.built_at == datetime.fromtimestamp(1_700_000_000, UTC)
