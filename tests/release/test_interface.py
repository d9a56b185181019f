"""The interface that travels with a release, and the gate before it is signed."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.release.test_build import install
from tests.release.workshop import APP, NOW, now, order, signing

from limpet.errors import Rejected
from limpet.firmware.interface import read_interface, unpack_interface
from limpet.release import Built, build_release, publish, sign_release
from limpet.vendor.home import Home

WIDER = APP.replace("-> float:", "-> float | None:")
MORE = APP.replace("(product: Thermostat)", "(product: Thermostat, hours: int = 1)")


def spoil(product: Path, source: str) -> None:
    (product / "app" / "thermostat" / "__init__.py").write_text(source)


def published(home: Home, out: Path) -> None:
    sign_release(out, signing(home), now=now())
    publish(out, home.root, clock=now)


def test_manifest_and_tree_hold_the_document_that_a_device_would_give(
    built: Built, tmp_path: Path
) -> None:
    slot = install(built, tmp_path / "slot")
    document = unpack_interface(built.manifest.interface)
    assert (slot / "interface.json").read_bytes() == document
    told = json.loads(document)
    assert told["openapi"] == "3.1.0"
    assert told["paths"]["/v1/functions/temperature"]["get"]["x-unit"] == "°C"
    assert "GET /v1/update" in read_interface(document).operations
    assert len(built.manifest.interface) < 16 << 10


def test_a_change_that_breaks_and_does_not_say_so_is_not_signed(
    product: Path, home: Home, built: Built, tmp_path: Path
) -> None:
    published(home, built.directory)
    spoil(product, WIDER)
    silent = build_release(order(product, home, "1.1.0"), tmp_path / "silent")
    with pytest.raises(Rejected, match="answers differently") as refused:
        sign_release(silent.directory, signing(home), now=now())
    assert refused.value.reason == "interface-change"
    assert not (silent.directory / "releases.json").exists()
    said = replace(order(product, home, "1.1.0"), interface_version=2)
    published(home, build_release(said, tmp_path / "said").directory)


def test_a_change_that_breaks_nobody_is_signed(
    product: Path, home: Home, built: Built, tmp_path: Path
) -> None:
    published(home, built.directory)
    spoil(product, MORE)
    published(home, build_release(order(product, home, "1.1.0"), tmp_path / "more").directory)
    spoil(product, APP)
    back = build_release(order(product, home, "1.2.0"), tmp_path / "back")
    with pytest.raises(Rejected, match="removed parameter hours"):
        sign_release(back.directory, signing(home), now=now())


@pytest.mark.parametrize(
    ("source", "said"),
    [("raise ValueError('no')\n", "ValueError: no"), ('"""An app."""\n', "has no `app = App(…)`")],
)
def test_an_app_that_no_device_could_start_is_not_built(
    product: Path, home: Home, tmp_path: Path, source: str, said: str
) -> None:
    spoil(product, source)
    with pytest.raises(Rejected) as refused:
        build_release(order(product, home), tmp_path / "bad")
    assert refused.value.reason == "bad-app"
    assert said in refused.value.message
    assert not (tmp_path / "bad" / "manifest.json").exists()


def test_the_command_says_what_breaks_and_fails_only_where_nobody_was_told(
    product: Path, home: Home, built: Built, tmp_path: Path
) -> None:
    spoil(product, WIDER)
    silent = build_release(order(product, home, "1.1.0"), tmp_path / "silent")
    told = build_release(
        replace(order(product, home, "1.2.0"), interface_version=2), tmp_path / "told"
    )

    def check(new: Path) -> tuple[int, list[dict[str, object]]]:
        command = [sys.executable, "-m", "limpet", "release", "check-interface", "--json"]
        words = [*command, str(built.directory), str(new)]
        done = subprocess.run(words, capture_output=True, timeout=150, check=False)
        return done.returncode, json.loads(done.stdout)

    status, changes = check(silent.directory)
    assert status == 1
    assert [one["breaking"] for one in changes] == [True]
    assert check(told.directory / "manifest.json") == (0, changes)
    assert check(built.directory) == (0, [])


def test_the_day_of_the_build_does_not_change_the_interface(
    product: Path, home: Home, built: Built, tmp_path: Path
) -> None:
    other = replace(order(product, home, "1.0.1"), built_at=NOW - timedelta(days=365))
    again = build_release(other, tmp_path / "again")
    published(home, built.directory)
    published(home, again.directory)
