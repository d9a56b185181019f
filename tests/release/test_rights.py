"""The record of a firmware's processes: made from what confines them, signed, published, shown."""

import hashlib
import html
import json
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from tests.release.test_interface import published
from tests.release.workshop import BOUNDS, EXAMPLE, NOW, now, order, signing

from limpet.cli.main import build_app
from limpet.device.confine import COMPARTMENTS, PROFILES
from limpet.device.link.permits import PERMITS, Role
from limpet.device.rights import describe_rights
from limpet.errors import Rejected, Unavailable
from limpet.firmware.description import FirmwareDescription
from limpet.product import Product, User, load_product
from limpet.release import BuildOrder, Built, build_release, publish, sign_release
from limpet.vendor.home import Home
from limpet.vendor.pages import load_dossier, render_site
from limpet.vendor.repository import Repository, SignedRelease
from limpet.wire.codec import decode_json
from limpet.wire.rights import RIGHTS_BYTES, ProcessRights, Rights


@pytest.fixture
def product_of_example() -> Product:
    return load_product(EXAMPLE / "product.toml")


def describe(product: Product) -> dict[str, ProcessRights]:
    description = FirmwareDescription(
        model=product.model.name,
        hardware_revisions=("A1",),
        version="1.0.0",
        security_counter=1,
        interface_version=1,
        built_at=NOW,
        source_commit="",
    )
    return {one.role: one for one in describe_rights(product, description).processes}


def test_every_request_and_every_system_call_of_the_tables_is_in_the_record_and_no_other(
    product_of_example: Product,
) -> None:
    found = describe(product_of_example)
    assert set(found) == {role.value for role in Role}
    asked = {(role, ask.role): set(ask.requests) for role, one in found.items() for ask in one.asks}
    assert asked == {
        (caller.value, callee.value): {request.__name__ for request in requests}
        for (caller, callee), requests in PERMITS.items()
    }
    for role in PROFILES:
        one = found[role.value]
        calls = {call for each in one.system_calls for call in each.calls}
        grants = next(grants for kind, grants in COMPARTMENTS.items() if kind.value == role.value)
        assert calls == {call.name for grant in grants for call in grant.calls}
        assert one.memory_bytes == PROFILES[role].memory_bytes
    assert found["gateway"].listens == (8443,)
    assert found["updater"].connects == (53, 443)
    assert [role for role, one in found.items() if one.network == "none"] == [
        "supervisor", "keeper", "accounts", "app",
    ]  # fmt: skip
    assert found["announcer"].writes == ()
    assert "/etc/resolv.conf" in found["updater"].reads
    assert found["keeper"].writes == ("its own directory", "/dev/tpmrm0")


def test_a_design_that_lets_the_app_call_out_or_announces_nothing_has_another_record(
    product_of_example: Product,
) -> None:
    interfaces = tuple(
        msgspec.structs.replace(one, used_by=User.APP) if one.id == "reports" else one
        for one in product_of_example.interfaces
        if one.id != "announcement"
    )
    found = describe(msgspec.structs.replace(product_of_example, interfaces=interfaces))
    assert found["app"].network == "calls"
    assert "announcer" not in found


def test_the_record_names_nothing_of_the_machine_that_built_it(built: Built) -> None:
    assert built.rights is not None
    said = built.rights.read_text()
    for word in (str(Path.home()), "python", "site-packages", str(built.directory), "/proc"):
        assert word not in said
    assert hashlib.sha256(said.encode()).hexdigest() == built.manifest.rights
    record = decode_json(said.encode(), Rights, max_bytes=RIGHTS_BYTES)
    assert record.handles["local-api"] == "gateway"
    assert record.handles["heater-relay"] == "app"
    assert "label" not in record.handles


def test_it_is_published_with_its_release_and_stands_in_the_security_document(
    home: Home, built: Built
) -> None:
    published(home, built.directory)
    file = home.repository / "rights" / f"{built.manifest.rights}.json"
    assert built.rights is not None
    assert file.read_bytes() == built.rights.read_bytes()
    dossier = load_dossier(home, clock=now)
    assert dossier.rights is not None
    assert dossier.faults == ()
    page = render_site([dossier], now=now(), contact=b"")["/security"].body.decode()
    assert 'id="process-gateway"' in page
    assert "<svg" in page
    assert (
        f"{built.manifest_sha256}"
        in render_site([dossier], now=now(), contact=b"")["/releases/thermostat"].body.decode()
    )
    file.write_bytes(b"{")
    damaged = load_dossier(home, clock=now)
    assert damaged.rights is None
    assert file.name in damaged.faults[0]


def test_another_record_than_the_signed_one_is_not_published(home: Home, built: Built) -> None:
    sign_release(built.directory, signing(home), now=now())
    assert built.rights is not None
    record: dict[str, Any] = json.loads(built.rights.read_bytes())
    record["processes"][0]["task"] = "may do everything"
    built.rights.write_text(json.dumps(record))
    with pytest.raises(Rejected, match="record"):
        publish(built.directory, home.root, clock=now)
    metadata = (built.directory / "releases.json").read_bytes()
    manifest = (built.directory / "manifest.json").read_bytes()
    for rights, reason in ((built.rights, "tampered-image"), (None, "bad-metadata")):
        offered = SignedRelease(manifest, built.image, metadata, sbom=built.sbom, rights=rights)
        with pytest.raises(Rejected) as refused:
            Repository(home, now).add_release(offered)
        assert refused.value.reason == reason
    assert Repository(home, now).releases() == ()
    built.rights.unlink()
    with pytest.raises(Unavailable):
        publish(built.directory, home.root, clock=now)


def test_the_command_on_the_page_makes_the_same_image_again(
    product: Path, home: Home, built: Built, tmp_path: Path
) -> None:
    published(home, built.directory)
    page = render_site([load_dossier(home, clock=now)], now=now(), contact=b"")
    said = page["/releases/thermostat"].body.decode()
    command = said[said.index("limpet release build ") :].partition("<")[0]
    words = shlex.split(html.unescape(command))
    assert words[:4] == ["limpet", "release", "build", "PRODUCT"]
    options = dict(zip(words[4::2], words[5::2], strict=True))
    assert command_takes(options)
    again = BuildOrder(
        product=product,
        trust=home.trust,
        version=options["--version"],
        security_counter=int(options["--security-counter"]),
        interface_version=int(options["--interface-version"]),
        built_at=datetime.fromisoformat(options["--built-at"]).replace(tzinfo=UTC),
        bounds=BOUNDS,
    )
    made = build_release(again, tmp_path / "again")
    assert made.image.read_bytes() == built.image.read_bytes()
    other = build_release(order(product, home, "1.0.1"), tmp_path / "other")
    assert other.image.read_bytes() != built.image.read_bytes()


def command_takes(options: dict[str, str]) -> bool:
    """Whether `limpet release build` has all of these."""
    build = typer.main.get_command(build_app(["release"])).commands["release"].commands["build"]  # type: ignore[attr-defined]
    known = {name for one in build.params for name in one.opts}
    return set(options) <= known
