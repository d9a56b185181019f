"""What holds before an owner has decided anything: updates are automatic (R2.4.2a)."""

from pathlib import Path

import pytest

from limpet.device.link.messages import UpdatePolicy
from limpet.device.updater.policy import default_policy, load_policy, save_policy
from limpet.errors import Rejected
from limpet.product import load_product

SPECIMENS = Path(__file__).parents[2] / "product" / "specimens"
SILENT = (SPECIMENS / "sound.toml").read_text()


def designed(tmp_path: Path, *lines: str) -> Path:
    text = SILENT.replace("[update]", "\n".join(["[update]", *lines]))
    (tmp_path / "product.toml").write_text(text)
    return tmp_path / "product.toml"


def test_updates_are_automatic_at_any_time_if_the_design_says_nothing(tmp_path: Path) -> None:
    assert "automatic" not in SILENT
    policy = default_policy(load_product(designed(tmp_path)).update)
    assert policy.automatic
    assert (policy.window.start_minute, policy.window.end_minute) == (0, 1440)


def test_a_design_may_choose_a_window_and_stays_automatic(tmp_path: Path) -> None:
    window = 'default_window = { start = "02:00", end = "04:00" }'
    policy = default_policy(load_product(designed(tmp_path, window)).update)
    assert policy.automatic
    assert (policy.window.start_minute, policy.window.end_minute) == (120, 240)


@pytest.mark.parametrize("damage", [b"", b"\xff", b'{"automatic": false', b'{"x": 1}', b"[]"])
def test_a_damaged_choice_is_refused_and_never_read_as_a_choice(
    damage: bytes, tmp_path: Path
) -> None:
    default = default_policy(load_product(designed(tmp_path)).update)
    file = tmp_path / "settings" / "policy.json"
    save_policy(file, UpdatePolicy(automatic=False))
    assert not load_policy(file, default=default).automatic
    file.write_bytes(damage)
    with pytest.raises(Rejected) as refusal:
        load_policy(file, default=default)
    assert refusal.value.reason == "malformed"
