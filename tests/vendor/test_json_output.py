"""Commands of the vendor that change something say what they did, to a program too."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.vendor.test_models import OTHER, product
from tests.vendor.workshop import MODEL, NOW, PRODUCT
from typer.testing import CliRunner

from limpet.cli.vendor import app
from limpet.crypto.suites import CURRENT, bundled_suites, first_suite
from limpet.vendor.home import Home, create, open_home

__all__ = ["product"]

SUITE = {"name": CURRENT.name, "version": CURRENT.version}


def said(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def told(*arguments: object) -> Any:
    """The value that `--json` prints, and nothing beside it."""
    return json.loads(said(*arguments, "--json"))


def test_a_block_and_its_lifting(home: Home) -> None:
    assert told("block", home.root, "TH-0001", "--reason", "lost") == {
        "serial": "TH-0001",
        "model": MODEL,
        "blocked": True,
    }
    assert told("unblock", home.root, "TH-0001")["blocked"] is False
    assert said("block", home.root, "TH-0001") == "TH-0001 is blocked\n"


def test_another_model(home: Home, product: Path) -> None:
    added = told("model", "add", home.root, "--product", product)
    assert added == {"model": OTHER, "models": [MODEL, OTHER]}
    assert open_home(home.root).settings.models == (MODEL, OTHER)


@pytest.mark.parametrize("command", ["renew", "rekey"])
def test_a_day_by_which_the_drawer_is_opened_again(home: Home, command: str) -> None:
    done = told(command, home.root)
    assert list(done) == ["expires"]
    assert datetime.fromisoformat(done["expires"]) > NOW + timedelta(days=300)
    assert "restart the service now" in said(command, home.root)


def test_a_suite_that_was_taken(tmp_path: Path) -> None:
    home = create(
        tmp_path / "vendor", PRODUCT, now=NOW, unsafe_without_gate=True, suite=first_suite()
    )
    newest = bundled_suites()[CURRENT.version]
    firmware = told("suite", home.root, newest)
    assert (firmware["of"], firmware["suite"]) == ("firmware", SUITE)
    assert all(Path(key).is_file() for key in firmware["made"])
    assert firmware["made"]
    assert told("suite", home.root, newest, "--service") == {
        "of": "service",
        "suite": SUITE,
        "made": [],
    }


@pytest.mark.parametrize("command", ["renew", "rekey", "suite", "model"])
def test_without_the_drawer_there_is_nothing_on_standard_output(
    home: Home, product: Path, command: str
) -> None:
    shutil.rmtree(home.offline)
    more = {"suite": ["suite", home.root, first_suite()], "model": ["model", "add", home.root]}
    arguments = [*more.get(command, [command, home.root]), "--json"]
    arguments += ["--product", product] if command == "model" else []
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert done.exit_code != 0
    assert done.stdout == ""
