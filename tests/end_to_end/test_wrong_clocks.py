"""Whole devices whose clocks are wrong, and certificates that end: each recovers by itself.

The clock is libfaketime's, put under every process of the device by an interpreter that is a
small script; nothing in the device knows of it.
"""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from tests.device.workshop import Running, running, until
from tests.end_to_end.living import make_device, make_home, serving, set_lifetime
from tests.needs import need

from limpet.vendor.home import Home
from limpet.vendor.repository.rekeying import replace_online_keys

pytestmark = [pytest.mark.slow, pytest.mark.end_to_end]

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_home(tmp_path_factory.mktemp("clocks"))


@pytest.fixture
def service(home: Home) -> Iterator[str]:
    with serving(home) as address:
        yield address


def _interpreter(place: Path, wall: datetime) -> Path:
    """A virtual environment like this one, whose interpreter starts at `wall`."""
    place.mkdir()
    (place / "bin").mkdir()
    for name in ("lib", "pyvenv.cfg"):
        (place / name).symlink_to(Path(sys.prefix) / name)
    script = place / "bin" / "python"
    offset = int((wall - datetime.now(UTC)).total_seconds())
    script.write_text(
        "#!/bin/bash\n"
        f"export LD_PRELOAD={FAKETIME} FAKETIME={offset:+d} FAKETIME_DISABLE_SHM=1\n"
        "export FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1\n"
        f'exec -a "$0" {sys.executable} "$@"\n'
    )
    script.chmod(0o755)
    return script


def _leaf(root: Path, file: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((root / file).read_bytes())


def _enrolled(device: Running) -> None:
    until(device.has_enrolled, "not enrolled", device)


def _count(device: Running, role: str) -> int:
    return sum(entry.event == "enrolled" and entry.role == role for entry in device.log())


@pytest.mark.parametrize("year", [1970, 2046])
def test_a_device_that_wakes_in_a_wrong_year_enrolls_and_then_keeps_calm(
    year: int, home: Home, service: str, tmp_path: Path
) -> None:
    need(str(FAKETIME), package="libfaketime", untried="no device had a wrong clock")
    root = make_device(home)
    interpreter = _interpreter(tmp_path / "venv", datetime(year, 1, 2, tzinfo=UTC))
    options = ("--resolve", f"vendor.example.com:443={service}")
    with running(root, *options, interpreter=str(interpreter)) as device:
        _enrolled(device)
        wrong = {entry.at.year for entry in device.log() if entry.event == "enrolled"}
        assert wrong == {year}  # its clock was wrong indeed
        time.sleep(7)  # longer than the least pause between two enrollments
        assert [_count(device, role) for role in ("gateway", "updater")] == [1, 1]
    assert _leaf(root, "gateway/ldevid.pem").not_valid_before_utc.year == datetime.now(UTC).year


def test_an_expired_certificate_is_enrolled_again_and_a_short_one_renewed_in_time(
    home: Home, tmp_path: Path
) -> None:
    """One sleeps until its own has ended, while the other lives. Before it wakes, the vendor
    replaces all that is online, the issuing authority too."""
    root, sleeper = make_device(home), make_device(home)
    set_lifetime(home, 60)  # begins an hour before its issue, so a stored one is always due
    with serving(home) as service:
        with running(sleeper, *_at(service)) as device:
            _enrolled(device)
        ended = _leaf(sleeper, "gateway/ldevid.pem")
        with running(root, *_at(service)) as device:
            _enrolled(device)
            first = _leaf(root, "gateway/ldevid.pem")
            until(lambda: _leaf(root, "gateway/ldevid.pem") != first, "not renewed", device)
        second = _leaf(root, "gateway/ldevid.pem")
        assert second.public_key() == first.public_key()
        apart = second.not_valid_before_utc - first.not_valid_before_utc
        assert timedelta(seconds=25) < apart < timedelta(seconds=60)  # at two thirds, and in time
    replace_online_keys(home, offline=home.offline, now=datetime.now(UTC))
    left = ended.not_valid_after_utc - datetime.now(UTC) + timedelta(seconds=1)
    time.sleep(max(left.total_seconds(), 0))
    with serving(home) as service, running(sleeper, *_at(service)) as device:
        assert datetime.now(UTC) > ended.not_valid_after_utc
        until(lambda: _leaf(sleeper, "gateway/ldevid.pem") != ended, "no new one", device)
    woken = _leaf(sleeper, "gateway/ldevid.pem")
    authority = _leaf(home.online, "operational-ca.pem").subject
    assert (first.issuer == second.issuer == ended.issuer, woken.issuer) == (True, authority)
    assert first.issuer != authority
    set_lifetime(home, 30 * 86400)


def _at(service: str) -> tuple[str, str]:
    return "--resolve", f"vendor.example.com:443={service}"
