"""The keeper's time floor: it survives, it rises, it never falls."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from limpet.device.keeper._floor import raise_time_floor

BUILT = datetime(2026, 11, 22, tzinfo=UTC)


def test_the_floor_rises_with_authenticated_time_and_never_falls(tmp_path: Path) -> None:
    assert raise_time_floor(tmp_path, BUILT) == BUILT
    newer = BUILT + timedelta(days=90)
    assert raise_time_floor(tmp_path, newer) == newer
    assert raise_time_floor(tmp_path, BUILT) == newer  # an older firmware after a fall back


def test_a_damaged_record_begins_anew_at_the_time_of_the_firmware(tmp_path: Path) -> None:
    raise_time_floor(tmp_path, BUILT + timedelta(days=90))
    for damage in (b"", b"{", b'{"floor": "2030-01-01T00:00:00"}'):
        (tmp_path / "time.json").write_bytes(damage)
        assert raise_time_floor(tmp_path, BUILT) == BUILT
