"""`limpet new`: what it makes passes its checks and its own tests, and becomes a device."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.device.workshop import until
from tests.end_to_end.new_products import (
    Household,
    household,
    new_product,
    replace,
)
from tests.end_to_end.test_update import doomed

from limpet.cli.main import run
from limpet.errors import Rejected
from limpet.firmware.tree import digest_tree
from limpet.owner.store import DeviceRecord, Store
from limpet.scaffold import Template

pytestmark = [pytest.mark.slow, pytest.mark.end_to_end]

MIGRATED = '''
class Settings(msgspec.Struct, frozen=True):
    """What the owner chose; the form of the second version."""

    low: float = 0.0
    high: Limit = 30.0


def widen(old: dict[str, object]) -> dict[str, object]:
    return {"low": 1.5, "high": old["limit"]}
'''
SECOND = {
    '''class Settings(msgspec.Struct, frozen=True):
    """What the owner chose; kept over restarts and updates."""

    limit: Limit = 30.0
''': MIGRATED,
    'device.state(Settings, "settings", default=Settings())': (
        'device.state(Settings, "settings", default=Settings(), schema=2, migrations={1: widen})'
    ),
    "limit = product.settings.value.limit\n": "limit = product.settings.value.high\n",
    "product.settings.replace(Settings(limit))": (
        "product.settings.replace(Settings(product.settings.value.low, limit))"
    ),
}
SICK = {
    "    if product.value is None:\n        raise Unhealthy": (
        "    product.settings.replace(Settings(9.0, 99.0))  # it spoils what it migrated, too\n"
        "    if True:\n        raise Unhealthy"
    )
}
READS = """

@app.reading(summary="The settings")
def settings(product: Product) -> Settings:
    return product.settings.value
"""


@pytest.mark.parametrize("template", list(Template))
def test_a_new_product_passes_its_check_and_its_own_tests_at_once(
    template: Template, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = run(["new", "garden-box", "--template", template.value, "--into", str(tmp_path)])
    assert made == 0
    product = tmp_path / "garden-box"
    assert run(["product", "check", str(product)]) == 0
    assert "no problem" in capsys.readouterr().out
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=product,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def test_a_new_product_is_never_made_over_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "garden-box").mkdir()
    (tmp_path / "garden-box" / "mine").write_text("x")
    assert run(["new", "garden-box", "--into", str(tmp_path)]) == 3
    assert "exists already" in capsys.readouterr().err
    assert [p.name for p in tmp_path.rglob("*")] == ["garden-box", "mine"]


@pytest.mark.parametrize("name", ["Garden", "../escape", "class", "a--b", "", "x" * 41, "ä", "a\n"])
def test_a_name_that_is_none_is_refused_and_nothing_is_made(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["new", "--into", str(tmp_path), "--", name]) == Rejected("x", "x").exit_code
    assert "Traceback" not in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_new_product_becomes_a_device_that_notifies_and_keeps_its_state_over_updates(
    tmp_path: Path,
) -> None:
    """One device, in order: its function, its notifications, a bad update, a good one."""
    product = new_product(tmp_path, Template.SENSOR, haste=True)
    with household(tmp_path, product) as house:
        assert house.read("value") == 20.0
        _notifies(house)
        second = _second_version(tmp_path)
        _falls_back(house, second, tmp_path)
        house.act("set_limit", limit=13)  # the old program goes on, on its own file
        house.ship(second, "1.2.0")
        until(lambda: _runs(house, "1.2.0"), "it was not confirmed", house.device)
        house.until_it_answers("settings")
        assert house.read("settings") == {"low": 1.5, "high": 13.0}


def _notifies(house: Household) -> None:
    assert house.use("GET", "/v1/notifications") == {"notifications": []}
    assert house.act("set_limit", limit=12) == 12

    def told() -> list[dict[str, object]]:
        found: list[dict[str, object]] = house.use("GET", "/v1/notifications")["notifications"]
        return found

    until(lambda: bool(told()), "the owner is not told", house.device)
    (notice,) = told()
    assert (notice["key"], notice["level"], notice["acknowledged"]) == (
        "over-limit",
        "warning",
        False,
    )
    document = house.use("GET", "/v1/openapi.json")
    assert {"/v1/notifications", "/v1/notifications/{id}/acknowledge"} <= {*document["paths"]}
    with pytest.raises(Rejected, match="no such notification"):
        house.use("POST", "/v1/notifications/99/acknowledge")
    token = house.use(
        "POST", "/v1/tokens", {"label": "watcher", "access": "viewer", "lifetime_seconds": 600}
    )["token"]
    owner, house.token = house.token, token
    with pytest.raises(Rejected) as refusal:
        house.use("POST", f"/v1/notifications/{notice['id']}/acknowledge")
    assert refusal.value.reason == "access-too-low"
    house.token = owner
    house.act("set_limit", limit=60)  # no new one comes
    _types(house, "acknowledge", str(notice["id"]))
    assert "over 12" in _types(house, "list")
    assert _types(house, "list", "--new", "--json").strip() == "[]"
    assert [one["acknowledged"] for one in told()] == [True]
    house.act("set_limit", limit=12)


def _types(house: Household, *words: str) -> str:
    """What the owner's command prints, with a store that knows the device."""
    store = Store(house.home.root.parent / "store")
    where = house.connect()
    store.save(
        DeviceRecord(
            serial=where.serial,
            model="garden-box",
            url=where.address.url,
            root_pem=(house.home.trust / "device-root.pem").read_text(),
            name="owner",
            token=house.token,
        )
    )
    command = [sys.executable, "-m", "limpet", "owner", "notifications", *words, "--store"]
    done = subprocess.run(
        [*command, house.home.root.parent / "store"], capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _second_version(base: Path) -> Path:
    """The product's second version, with another form of its state."""
    (base / "second").mkdir()
    product = new_product(base / "second", Template.SENSOR, extra=READS, haste=True)
    replace(product / "app" / "garden_box" / "functions.py", SECOND)
    return product


def _falls_back(house: Household, second: Path, base: Path) -> None:
    """The second version, but sick: it migrates, spoils, fails; the old one finds its own state."""
    (base / "sick").mkdir()
    sick = new_product(base / "sick", Template.SENSOR, extra=READS, haste=True)
    functions = sick / "app" / "garden_box" / "functions.py"
    functions.write_text((second / "app" / "garden_box" / "functions.py").read_text())
    replace(functions, SICK)
    doomed(sick)
    tree = digest_tree(house.device.root / "slots" / "a")
    house.ship(sick, "1.1.0")
    until(lambda: house.device.has_logged("update-fell-back", "1.1.0"), "no way back", house.device)
    house.until_it_answers("value")
    app = house.device.root / "app"
    spoiled = (app / "left-behind" / "settings.2.json").read_text()
    assert "99.0" in spoiled  # the trial really ran, migrated and wrote
    assert '"limit":12.0' in (app / "settings.1.json").read_text()
    assert digest_tree(house.device.root / "slots" / "a") == tree


def _runs(house: Household, version: str) -> bool:
    record = house.device.state.record_of(house.device.state.good)
    return record is not None and record.version == version and house.device.state.trial is None
