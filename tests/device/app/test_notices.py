"""What a product tells its owner: bounded, durable, countable."""

from pathlib import Path

import pytest
from tests.device.app.conftest import Lamp

from limpet.device.app import App, Device
from limpet.device.app._notices import MAX_NOTICES, Notices
from limpet.device.app.testing import FakeClock, Simulator
from limpet.errors import Misuse, Rejected


def _notices(directory: Path) -> Notices:
    return Notices(directory, clock=FakeClock().now)


def test_a_notice_survives_a_restart_and_so_does_its_acknowledgement(tmp_path: Path) -> None:
    notices = _notices(tmp_path)
    notices.raise_notice("bulb-worn", "The bulb is worn", "warning")
    (one,) = _notices(tmp_path).list()
    assert (one.key, one.level, one.acknowledged) == ("bulb-worn", "warning", False)
    notices.acknowledge(one.id)
    assert _notices(tmp_path).list()[0].acknowledged


def test_a_product_that_shouts_fills_neither_the_list_nor_the_flash(tmp_path: Path) -> None:
    notices = _notices(tmp_path)
    notices.raise_notice("hot", "It is hot", "error")
    before = (tmp_path / "notices.json").stat().st_ino
    for _ in range(1000):
        notices.raise_notice("hot", "It is hot", "error")
    (one,) = notices.list()
    assert one.count == 1001
    assert (tmp_path / "notices.json").stat().st_ino == before  # never written again
    for number in range(3 * MAX_NOTICES):
        notices.raise_notice(f"other-{number}", "x", "info")
    assert len(notices.list()) == len(_notices(tmp_path).list()) == MAX_NOTICES


def test_what_was_acknowledged_leaves_before_what_was_not(tmp_path: Path) -> None:
    notices = _notices(tmp_path)
    for number in range(MAX_NOTICES):
        notices.raise_notice(f"key-{number}", "x", "info")
    notices.acknowledge(notices.list()[10].id)
    notices.raise_notice("one-more", "x", "info")
    keys = [one.key for one in notices.list()]
    assert "key-0" in keys
    assert "key-10" not in keys


def test_a_new_text_under_an_open_key_replaces_it_and_an_acknowledged_one_comes_anew(
    tmp_path: Path,
) -> None:
    notices = _notices(tmp_path)
    notices.raise_notice("level", "20 % left", "info")
    notices.raise_notice("level", "10 % left", "warning")
    assert [one.text for one in notices.list()] == ["10 % left"]
    notices.acknowledge(notices.list()[0].id)
    notices.raise_notice("level", "10 % left", "warning")
    assert [one.acknowledged for one in notices.list()] == [True, False]


@pytest.mark.parametrize(
    ("key", "text", "level"),
    [("Bad Key", "x", "info"), ("k", "", "info"), ("k", "x" * 301, "info"), ("k", "x", "shout"),
     ("k", "two\nlines", "info")],
)  # fmt: skip
def test_what_is_no_notice_is_the_products_own_bug(
    tmp_path: Path, key: str, text: str, level: str
) -> None:
    with pytest.raises(Misuse):
        _notices(tmp_path).raise_notice(key, text, level)
    assert not (tmp_path / "notices.json").exists()


def test_an_unknown_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="no such notification"):
        _notices(tmp_path).acknowledge(7)


def test_a_damaged_file_is_set_aside_and_said(tmp_path: Path) -> None:
    (tmp_path / "notices.json").write_bytes(b'{"next_id":')
    notices = _notices(tmp_path)
    assert notices.list() == ()
    assert "notices.json" in notices.damage
    assert (tmp_path / "notices.json.damaged").exists()


def test_a_product_notifies_and_the_simulator_shows_it(tmp_path: Path) -> None:
    app = App(Lamp)

    @app.loop(every=1.0)
    def watch(lamp: Lamp) -> None:
        lamp.device.notify("bulb-worn", "The bulb is worn", level="warning")

    simulator = Simulator(app, tmp_path)
    simulator.advance(5)
    (one,) = simulator.notices.list()
    assert (one.key, one.count) == ("bulb-worn", 6)
    assert isinstance(simulator.product.device, Device)
