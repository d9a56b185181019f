"""A device that comes again shows its TLS session and what it has, and little is sent."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.vendor.workshop import HOST, MODEL, Running, make_home, running

from limpet.crypto.suites import TlsUse
from limpet.crypto.tls import client_context
from limpet.device.updater.floor import Floor
from limpet.device.updater.repository import Repository as DeviceRepository
from limpet.device.updater.source import HttpsSource
from limpet.errors import Rejected
from limpet.https.client import ClientResponse, HttpsClient
from limpet.vendor.repository import Repository
from limpet.wire.metadata import ROLE_BYTES, SNAPSHOT_BYTES, verify_size
from limpet.wire.rollout import Plan, PlanState

TIMESTAMP = "metadata/timestamp.json"


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(make_home(tmp_path_factory.mktemp("coming"))) as service:
        yield service


class Watched(HttpsClient):
    """Remembers what each answer was, and whether its connection was resumed."""

    def __init__(self, service: Running, *, resume: bool = True, port: int | None = None) -> None:
        tls = client_context(
            roots_pem=(service.home.trust / "service-root.pem").read_bytes(), use=TlsUse.VENDOR
        )
        super().__init__(f"https://{HOST}:{port or service.port}", tls=tls, resume=resume)
        self.answers: list[tuple[int, int]] = []
        self.resumed: list[bool] = []

    def request(self, method: str, path: str, *args: object, **more: object) -> ClientResponse:
        answer = super().request(method, path, *args, **more)  # type: ignore[arg-type]
        self.answers.append((answer.status, len(answer.body)))
        assert isinstance(self._socket, ssl.SSLSocket)
        self.resumed.append(bool(self._socket.session_reused))
        return answer


def test_a_new_connection_takes_up_the_session_of_the_one_before(vendor: Running) -> None:
    for resume in (True, False):
        client = Watched(vendor, resume=resume)
        for _ in range(4):
            client.get(f"/repository/{TIMESTAMP}", max_bytes=1 << 16)
            client.close()
        assert client.resumed == [False, *[resume] * 3]


def test_a_session_that_the_server_has_forgotten_costs_a_whole_handshake_and_nothing_else(
    vendor: Running,
) -> None:
    client = Watched(vendor)
    client.get(f"/repository/{TIMESTAMP}", max_bytes=1 << 16)
    client.close()
    with running(vendor.home) as other:
        client._address = ("127.0.0.1", other.port)  # as after a restart of the service
        assert client.get(f"/repository/{TIMESTAMP}", max_bytes=1 << 16).status == 200
    client.close()
    assert client.resumed == [False, False]


def test_after_a_day_the_servers_certificate_is_seen_anew(
    vendor: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Watched(vendor)
    client.get(f"/repository/{TIMESTAMP}", max_bytes=1 << 16)
    client.close()
    client._verified_at -= 86400
    client.get(f"/repository/{TIMESTAMP}", max_bytes=1 << 16)
    client.close()
    assert client.resumed == [False, False]


def test_a_timestamp_that_has_not_changed_is_not_sent_again(vendor: Running) -> None:
    client = Watched(vendor)
    source = HttpsSource(client)
    first = source.get(TIMESTAMP, max_bytes=1 << 16)
    assert source.get(TIMESTAMP, max_bytes=1 << 16) == first
    Repository(vendor.home, now).publish_plan(
        Plan(model=MODEL, state=PlanState.PAUSED, admitted_ppm=7, issued_at=now())
    )
    changed = source.get(TIMESTAMP, max_bytes=1 << 16)
    assert changed != first
    client.close()
    statuses = [status for status, _ in client.answers]
    assert statuses == [200, 304, 200]
    assert client.answers[1][1] == 0


def test_files_that_never_change_under_their_name_are_not_kept(vendor: Running) -> None:
    source = HttpsSource(Watched(vendor))
    for _ in range(2):
        source.get("metadata/1.root.json", max_bytes=1 << 20)
    assert source.kept == {}
    source.client.close()


def test_a_whole_check_that_finds_no_change_asks_twice(vendor: Running, tmp_path: Path) -> None:
    client = Watched(vendor)
    device = DeviceRepository(
        HttpsSource(client),
        model=MODEL,
        directory=tmp_path,
        trusted_root=(vendor.home.trust / "root.json").read_bytes(),
    )
    floor = Floor(time=datetime(2020, 1, 1, tzinfo=UTC))
    offers = []
    for _ in range(2):
        client.answers.clear()
        offers.append(device.look(floor, now=now(), keep=lambda kept: None).plan)
        client.close()
    assert offers[0] == offers[1]
    assert client.answers == [(404, 0), (304, 0)]


def test_metadata_that_devices_would_not_read_is_not_published(
    vendor: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(vendor.home.repository.rglob("*.json"))
    monkeypatch.setattr("limpet.wire.metadata._TOP", {"snapshot": 500})
    plan = Plan(model=MODEL, state=PlanState.IDLE, issued_at=now())
    with pytest.raises(Rejected) as refused:
        Repository(vendor.home, now).publish_plan(plan)
    assert refused.value.reason == "too-large"
    names = sorted(vendor.home.repository.rglob("*.json"))
    assert [name for name in names if "metadata" in name.parts] == [
        name for name in before if "metadata" in name.parts
    ]


def test_the_bounds_are_per_role(vendor: Running) -> None:
    verify_size("releases/thermostat", bytes(ROLE_BYTES))
    for role, most in (("snapshot", SNAPSHOT_BYTES), ("targets", ROLE_BYTES)):
        with pytest.raises(Rejected, match=str(most)):
            verify_size(role, bytes(most + 1))
