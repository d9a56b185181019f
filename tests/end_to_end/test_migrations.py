"""New firmware that migrates the app's state badly: it fails, falls back, and nothing is lost."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.device.workshop import until
from tests.end_to_end.test_update import World, doomed, make_world

pytestmark = pytest.mark.end_to_end

STATE = 'self._settings = device.state(Settings, "settings", default=Settings())'
LEDGER = """
import time
import msgspec

class Ledger(msgspec.Struct, frozen=True):
    starts: int = 0

class Ledger2(msgspec.Struct, frozen=True):
    begun: int = 0

def hang(data):
    time.sleep(3600)

def crash(data):
    raise KeyError("starts")

def to_two(data):
    return {"begun": data["starts"]}

def to_one(data):
    return {"starts": data["begun"]}
"""
FIRST = """
        from thermostat.ledger import Ledger
        ledger = device.state(Ledger, "ledger", default=Ledger())
        ledger.replace(Ledger(ledger.value.starts + 1))
        device.bulk()
"""
WRECK = """
        from thermostat.ledger import Ledger, Ledger2, crash, hang, to_one, to_two
        for file in device.data.glob("history*"):
            file.unlink()
        (device.bulk() / "newer.ts").write_bytes(b"made on trial")
"""
MIGRATE = """
        ledger = device.state(
            Ledger2, "ledger", default=Ledger2(), schema=2,
            migrations={1: MIGRATION}, back={1: to_one},
        )
        ledger.replace(Ledger2(ledger.value.begun + 100))
"""
JUNK = """
        with (device.data / "junk").open("wb") as file:
            for _ in range(32):
                file.write(bytes(1 << 20))
"""


def variant(product: Path, place: Path, code: str) -> Path:
    """The product with `code` in its start function."""
    shutil.copytree(product, place)
    (place / "app" / "thermostat" / "ledger.py").write_text(LEDGER)
    regulator = place / "app" / "thermostat" / "regulator.py"
    text = regulator.read_text()
    assert STATE in text
    regulator.write_text(text.replace(STATE, STATE + code))
    return place


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from make_world(
        tmp_path_factory.mktemp("migrations"),
        change=lambda product, place: variant(product, place, FIRST),
    )


def starts(world: World) -> int:
    """What the app has on record, in the file of its first schema; -1 while there is none."""
    try:
        written = (world.device.root / "app" / "ledger.1.json").read_bytes()
    except FileNotFoundError:  # the state of before is brought back at this moment
        return -1
    return int(msgspec.json.decode(written)["data"]["starts"])


def histories(world: World) -> dict[str, int]:
    return {p.name: p.stat().st_size for p in (world.device.root / "app").glob("history*")}


def make_recording(world: World) -> Path:
    """Larger than any disk here: no copy has room for it. Not a byte of it is written."""
    recording = world.device.root / "app" / "bulk" / "recording.ts"
    with recording.open("wb") as file:
        file.truncate(1 << 43)
    return recording


BROKEN = {
    "crash": WRECK + JUNK + MIGRATE.replace("MIGRATION", "crash"),
    "hang": WRECK + MIGRATE.replace("MIGRATION", "hang"),
}


@pytest.mark.parametrize("how", ["crash", pytest.param("hang", marks=pytest.mark.slow)])
def test_a_migration_that_goes_wrong_falls_back_to_the_state_of_before(
    world: World, how: str
) -> None:
    version = {"crash": "1.1.0", "hang": "1.2.0"}[how]
    ledger = world.device.root / "app" / "ledger.1.json"
    until(lambda: ledger.exists() and bool(histories(world)), "the app did not start", world.device)
    before, kept = starts(world), histories(world)
    assert kept
    recording = make_recording(world)
    broken = doomed(variant(world.pristine, world.home.root.parent / how, BROKEN[how]))
    world.offer(world.release(version, product=broken))
    until(lambda: world.device.has_logged("state-kept"), "no copy was made", world.device)
    until(
        lambda: world.device.has_logged("update-fell-back", version),
        "no fall-back",
        world.device,
    )
    assert world.device.has_logged("state-brought-back")
    until(lambda: starts(world) == before + 1, "the old app has another state", world.device)
    assert not (world.device.root / "app" / "junk").exists()
    assert not (world.device.root / "before").exists()
    now = histories(world)
    assert all(now.get(name, 0) >= size for name, size in kept.items()), "the history is lost"
    assert recording.stat().st_size == 1 << 43
    assert (recording.parent / "newer.ts").read_bytes() == b"made on trial"
    assert world.running_version() == "1.0.0"


def test_a_sound_migration_is_kept_and_still_leads_back(world: World) -> None:
    """After the confirmation the copy is gone; the older program could read what was set."""
    before = starts(world)
    sound = variant(
        world.pristine,
        world.home.root.parent / "sound",
        WRECK.split("        for")[0] + MIGRATE.replace("MIGRATION", "to_two"),
    )
    world.offer(world.release("1.4.0", product=sound))
    until(lambda: world.running_version() == "1.4.0", "it was not confirmed", world.device)
    assert (world.device.root / "app" / "ledger.2.json").exists()
    assert starts(world) == before + 100, "the way back was not written"
    until(lambda: not (world.device.root / "before").exists(), "the copy stays", world.device)
