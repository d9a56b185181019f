"""What the running service makes of its files: the repository, the pages, damage."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.vendor.workshop import (
    HOST,
    MODEL,
    Running,
    TufClient,
    make_release,
    next_releases,
    running,
)
from tuf.ngclient import FetcherInterface

from limpet.errors import Rejected, Unavailable
from limpet.https.client import HttpsClient
from limpet.product import load_product
from limpet.product.mud import mud_path, verify_mud
from limpet.vendor.front import Service
from limpet.vendor.home import Home
from limpet.vendor.repository import Repository
from limpet.wire.codec import decode_json, encode_json
from limpet.wire.release import manifest_path
from limpet.wire.rollout import PLAN_BYTES, Plan, plan_path
from limpet.wire.support import AfterSupport, SupportStatement, support_path

SOON = 20.0  # seconds; by the clock alone a page may be three times as old


class HttpsFetcher(FetcherInterface):
    """python-tuf's client over limpet's own HTTPS client."""

    def __init__(self, client: HttpsClient, base: str) -> None:
        self.client, self.base = client, base

    def _fetch(self, url: str) -> Iterator[bytes]:
        from tuf.api.exceptions import DownloadHTTPError

        reply = self.client.get(url.removeprefix(self.base), max_bytes=1 << 20)
        if reply.status != 200:
            raise DownloadHTTPError("refused", reply.status)
        yield reply.body


def test_pythons_tuf_client_follows_the_served_repository(
    server: Running, home: Home, tmp_path: Path
) -> None:
    base = f"https://{HOST}:{server.port}"
    client = TufClient(home, tmp_path / "client", HttpsFetcher(server.client(), base))
    client.base = f"{base}/repository"
    data = client.read(plan_path(MODEL))
    assert data is not None
    assert decode_json(data, Plan, max_bytes=PLAN_BYTES).model == MODEL
    release = make_release(home, tmp_path)
    published = Repository(home, lambda: datetime.now(UTC)).add_release(release)
    assert client.read(manifest_path(MODEL, "1.1.0")) == release.manifest
    path = f"/repository/{published.manifest.image.path}"
    part = server.client().get(path, max_bytes=1 << 20, headers={"range": "bytes=9-20"})
    assert (part.status, part.body) == (206, release.image.read_bytes()[9:21])


def test_pages_carry_a_policy_that_forbids_everything_foreign(server: Running) -> None:
    for path in ("/", "/security", f"/support/{MODEL}", "/.well-known/security.txt", "/style.css"):
        reply = server.client().get(path, max_bytes=90_000)
        assert reply.status == 200, path
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
    assert b"mailto:" in server.client().get("/security", max_bytes=90_000).body


def test_the_mud_file_is_served_where_devices_say_that_it_is(server: Running, home: Home) -> None:
    product = load_product(home.product_file)
    reply = server.client().get(mud_path(product), max_bytes=90_000)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/mud+json")
    verify_mud(reply.body, product, now=datetime.now(UTC))
    assert server.client().get("/mud/other.json", max_bytes=90_000).status == 404


def test_an_expiring_timestamp_is_renewed_by_the_running_service(home: Home) -> None:
    from datetime import timedelta

    old = Repository(home, lambda: datetime.now(UTC) - timedelta(hours=20))
    plan = old.plan()
    old.publish_plan(plan)  # leaves a timestamp that is good for four hours
    before = old.state().timestamp.version
    with running(home):
        deadline = time.monotonic() + 120
        while old.state().timestamp.version == before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert old.state().timestamp.expires > datetime.now(UTC) + timedelta(hours=20)


def test_a_service_with_damaged_files_says_so_instead_of_starting(home: Home) -> None:
    for path, error in (
        (home.repository / "metadata" / "timestamp.json", Rejected),
        (home.online / "operational-ca.key", Rejected),
        (home.online / "service.pem", Rejected),
        (home.product_file, Rejected),
        (home.database, Rejected),
    ):
        kept = path.read_bytes()
        path.write_bytes(b"damaged" * 100)
        with pytest.raises(error):
            Service.load(home)
        path.unlink()
        with pytest.raises((Unavailable, Rejected)):
            Service.load(home)
        path.write_bytes(kept)
    Service.load(home)


def test_a_commitment_that_is_published_stands_on_the_page_at_once(
    server: Running, home: Home
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    statement = SupportStatement(
        model=MODEL,
        until=now + timedelta(days=3000),
        after=AfterSupport.KEEPS_WORKING_LOCALLY,
        text="so long",
        issued_at=now,
    )
    day = statement.until.date().isoformat().encode()
    client = server.client()
    assert day not in client.get(f"/support/{MODEL}", max_bytes=1 << 20).body
    data = encode_json(statement)
    signed = next_releases(home, support_path(MODEL), data).data()
    Repository(home, lambda: datetime.now(UTC)).publish_support(data, signed)
    end = time.monotonic() + SOON
    while day not in client.get(f"/support/{MODEL}", max_bytes=1 << 20).body:
        assert time.monotonic() < end, "the page still says what was promised before"
        time.sleep(0.2)
