"""The real accounts process: what it refuses to start with."""

from pathlib import Path

import pytest
from tests.device.gateway.conftest import Stand

from limpet.device.link.permits import Role


def test_a_damaged_record_file_stops_the_process_with_one_clear_line(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    try:
        stand.mint()
        path = tmp_path / "accounts" / "accounts.json"
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(AssertionError):
            stand.start(Role.ACCOUNTS)
        crashes = [line for line in stand.stderr if "damaged" in line]
        assert len(crashes) == 1
        assert "Traceback" not in crashes[0]
    finally:
        stand.close()


def test_the_factorys_code_is_made_by_the_real_process_and_kept_as_a_hash(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    try:
        code = stand.mint()
        kept = b"".join(one.read_bytes() for one in (tmp_path / "accounts").iterdir())
        assert kept
        assert code.encode() not in kept
        assert code.replace("-", "").encode() not in kept
    finally:
        stand.close()
