"""The MUD file as RFC 8520 and its YANG modules have it, and as the design says."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization.pkcs7 import load_der_pkcs7_certificates
from tests.needs import need
from tests.product.designs import EXAMPLE, RICH, THERMOSTAT

from limpet.cli.main import run
from limpet.crypto.certificates import issue_service, make_intermediate, make_root
from limpet.crypto.keys import generate_key, key_to_pem
from limpet.errors import Misuse, Rejected
from limpet.product import Flow, Peers, Product, Transport, list_flows
from limpet.product import render_mud as render
from limpet.product.mud import mud_url, verify_mud

NOW = datetime(2026, 11, 27, 10, 0, tzinfo=UTC)
PROTOCOLS = {6: "tcp", 17: "udp"}


def _document(product: Product, *, signed: bool = False) -> dict[str, Any]:
    data = render(product, last_update=NOW, supported=True, signed=signed)
    document: dict[str, Any] = json.loads(data)
    return document


def _entries(document: dict[str, Any], direction: str) -> list[tuple[str, dict[str, Any]]]:
    """Family and entry of each access list that the policy of `direction` names."""
    policy = document["ietf-mud:mud"][f"{direction}-policy"]["access-lists"]["access-list"]
    named = [one["name"] for one in policy]
    lists = {one["name"]: one for one in document["ietf-access-control-list:acls"]["acl"]}
    assert len(lists) == len(document["ietf-access-control-list:acls"]["acl"])
    return [
        (lists[name]["type"].removesuffix("-acl-type"), entry)
        for name in named
        for entry in lists[name]["aces"]["ace"]
    ]


def _read_back(family: str, entry: dict[str, Any], direction: str) -> Flow | None:
    """The flow that an entry permits; None for the answers to one."""
    matches = entry["matches"]
    network = matches[family]
    transport = Transport(PROTOCOLS[network["protocol"]])
    ports = matches[transport.value]
    mud = matches.get("ietf-mud:mud", {})
    begun_here = "destination-port" in ports
    if not begun_here:
        return None
    port = ports["destination-port"]
    assert port["operator"] == "eq"
    inbound = direction == "to-device"
    side = "src" if inbound else "dst"
    if f"ietf-acldns:{side}-dnsname" in network:
        peers, host = Peers.HOSTS, network[f"ietf-acldns:{side}-dnsname"]
    elif f"destination-{family}-network" in network:
        groups = {"ipv4": "224.0.0.251/32", "ipv6": "ff02::fb/128"}
        assert network[f"destination-{family}-network"] == groups[family]
        peers, host = Peers.MULTICAST_DNS, ""
    elif "controller" in mud:
        urn = mud["controller"].removeprefix("urn:ietf:params:mud:")
        peers, host = {"dns": Peers.NAME_SERVERS, "ntp": Peers.TIME_SERVERS}[urn], ""
    else:
        assert mud == {"local-networks": [None]}
        peers, host = Peers.LOCAL, ""
    return Flow(inbound=inbound, transport=transport, port=port["port"], peers=peers, host=host)


@pytest.mark.parametrize("product", [THERMOSTAT, RICH], ids=["thermostat", "rich"])
def test_the_file_permits_the_flows_of_the_design_and_no_other(product: Product) -> None:
    """Read back from the document, by another way than it was written, for each version of IP."""
    document = _document(product)
    wanted = {_anonymous(flow) for flow in list_flows(product)}
    for version in ("ipv4", "ipv6"):
        found = {
            flow
            for direction in ("from-device", "to-device")
            for family, entry in _entries(document, direction)
            if family == version and (flow := _read_back(family, entry, direction))
        }
        assert found == wanted


def _anonymous(flow: Flow) -> Flow:
    """The flow without whose process it is, which a network cannot know."""
    return Flow(
        inbound=flow.inbound,
        transport=flow.transport,
        port=flow.port,
        peers=flow.peers,
        host=flow.host,
    )


def test_the_flows_are_the_interfaces_of_the_design() -> None:
    flows = {
        (f.inbound, f.transport.value, f.port, f.peers.value, f.host) for f in list_flows(RICH)
    }
    assert flows == {
        (True, "tcp", 8443, "local", ""),
        (False, "tcp", 443, "hosts", "vendor.example.com"),
        (False, "udp", 53, "name-servers", ""),
        (False, "tcp", 53, "name-servers", ""),  # RFC 7766
        (False, "tcp", 8883, "hosts", "meter.example.com"),
        (False, "udp", 5353, "multicast-dns", ""),
        (True, "udp", 5353, "multicast-dns", ""),
        (False, "udp", 123, "time-servers", ""),
        (False, "tcp", 1883, "local", ""),  # hub.local has no name outside the local network
    }


def test_every_tcp_entry_says_who_begins_and_every_entry_accepts() -> None:
    """RFC 8520, 8.6 and 4: what is not accepted is denied."""
    for direction in ("from-device", "to-device"):
        for _, entry in _entries(_document(RICH), direction):
            assert entry["actions"] == {"forwarding": "accept"}
            tcp = entry["matches"].get("tcp")
            if tcp is not None:
                begun = direction if "destination-port" in tcp else _other(direction)
                assert tcp["ietf-mud:direction-initiated"] == begun


def _other(direction: str) -> str:
    return "to-device" if direction == "from-device" else "from-device"


def test_the_container_holds_what_the_standard_wants_and_no_firmware_revision() -> None:
    """RFC 8520, 3: mandatory leaves; firmware-rev is forbidden where the address cannot change."""
    mud = _document(THERMOSTAT, signed=True)["ietf-mud:mud"]
    assert mud["mud-version"] == 1
    assert mud["mud-url"] == mud_url(THERMOSTAT) == "https://vendor.example.com/mud/thermostat.json"
    assert mud["mud-signature"] == "https://vendor.example.com/mud/thermostat.p7s"
    assert mud["last-update"] == "2026-11-27T10:00:00+00:00"
    assert 1 <= mud["cache-validity"] <= 168
    assert mud["is-supported"] is True
    assert mud["mfg-name"] == "Example Instruments"
    assert mud["model-name"] == "thermostat"
    assert len(mud["systeminfo"]) <= 60
    assert mud["documentation"] == "https://vendor.example.com/security"
    assert not {"firmware-rev", "software-rev"} & mud.keys()
    assert "mud-signature" not in _document(THERMOSTAT)["ietf-mud:mud"]


def test_a_long_name_is_cut_to_sixty_characters() -> None:
    maker = msgspec.structs.replace(THERMOSTAT.maker, name="Ü" * 64)
    product = msgspec.structs.replace(THERMOSTAT, maker=maker)
    info = _document(product)["ietf-mud:mud"]["systeminfo"]
    assert len(info) == 60
    assert info.endswith("…")


def test_without_a_host_there_is_no_address_and_without_a_zone_no_time() -> None:
    vendor = msgspec.structs.replace(THERMOSTAT.vendor, hosts=())
    with pytest.raises(Rejected, match="no host"):
        render(msgspec.structs.replace(THERMOSTAT, vendor=vendor), last_update=NOW, supported=True)
    with pytest.raises(Misuse):
        render(THERMOSTAT, last_update=datetime(2026, 1, 1), supported=True)


MODULES = Path(sys.prefix) / "share" / "yang" / "modules" / "ietf"
"""The standards' modules (RFC 8519, RFC 8520), as the package pyang brings them."""


def _lint(document: bytes, directory: Path) -> subprocess.CompletedProcess[str]:
    need("yanglint", package="libyang2-tools", untried="the schema was not asked")
    file = directory / "mud.json"
    file.write_bytes(document)
    names = ("ietf-access-control-list", "ietf-acldns", "ietf-mud")
    sources = [str(MODULES / f"{name}.yang") for name in names]
    features = ["-F", "ietf-access-control-list:*"]
    return subprocess.run(
        ["yanglint", "-i", "-p", str(MODULES), *features, "-t", "config", *sources, str(file)],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("product", [THERMOSTAT, RICH], ids=["thermostat", "rich"])
def test_the_schema_of_the_standard_takes_the_file(product: Product, tmp_path: Path) -> None:
    checked = _lint(render(product, last_update=NOW, supported=True, signed=True), tmp_path)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"to-device",', b'"both",'),
        (b'"operator": "eq"', b'"operator": "is"'),
        (b'"cache-validity": 48', b'"cache-validity": 200'),
        (b'"thermostat-ipv4-from-device"', b'"another"'),
    ],
)
def test_the_schema_of_the_standard_refuses_a_broken_file(
    old: bytes, new: bytes, tmp_path: Path
) -> None:
    """The control of the test above."""
    whole = render(THERMOSTAT, last_update=NOW, supported=True)
    broken = re.sub(re.escape(old.rstrip(b",")), new.rstrip(b","), whole, count=1)
    assert broken != whole
    assert _lint(broken, tmp_path).returncode != 0


def test_a_file_that_permits_more_or_less_than_the_design_is_out_of_step() -> None:
    sound = render(THERMOSTAT, last_update=NOW, supported=True)
    verify_mud(sound, THERMOSTAT, now=NOW)
    unsound = [
        sound.replace(b"8443", b"22"),
        render(RICH, last_update=NOW, supported=True),
        sound.replace(b"true", b"false"),
        sound.replace(b"+00:00", b""),
        sound + b" ",
        b"",
        b"\xff",
        b"[]",
    ]
    for document in unsound:
        with pytest.raises(Rejected) as refusal:
            verify_mud(document, THERMOSTAT, now=NOW)
        assert refusal.value.reason == "mud-out-of-step"
    with pytest.raises(Rejected):  # its support is over
        verify_mud(sound, THERMOSTAT, now=NOW.replace(year=2040))


# --- the command


def test_the_command_prints_the_file_or_writes_it_signed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["product", "mud", str(EXAMPLE)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["ietf-mud:mud"]["mud-url"] == mud_url(THERMOSTAT)

    now = datetime.now(UTC)
    root = make_root("Vendor Root", now=now)
    signer = make_intermediate(root, "not for signing", now=now)
    (tmp_path / "key.pem").write_bytes(key_to_pem(signer.key))
    (tmp_path / "authority.pem").write_bytes(signer.certificate_pem())
    words = ["product", "mud", str(EXAMPLE), "--out", str(tmp_path / "out"), "--json"]
    signing = ["--key", str(tmp_path / "key.pem"), "--certificate"]
    assert run([*words, *signing, str(tmp_path / "authority.pem")]) == 1
    assert "not for signing" in capsys.readouterr().err
    assert not (tmp_path / "out" / "thermostat.json").exists()

    key = generate_key()
    (tmp_path / "key.pem").write_bytes(key_to_pem(key))
    chain = issue_service(signer, key, hostnames=["mud.example"], now=now)
    (tmp_path / "chain.pem").write_bytes(chain)
    assert run([*words, *signing, str(tmp_path / "chain.pem")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["signed"], told["flows"]) == (True, len(list_flows(THERMOSTAT)))
    document = (tmp_path / "out" / "thermostat.json").read_bytes()
    verify_mud(document, THERMOSTAT, now=now)
    signature = (tmp_path / "out" / "thermostat.p7s").read_bytes()
    assert len(load_der_pkcs7_certificates(signature)) == 2  # the signer and its issuer


@pytest.mark.parametrize(
    "words", [["--key", "k"], ["--certificate", "c"], ["--key", "k", "--certificate", "c"]]
)
def test_half_a_signature_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["product", "mud", str(EXAMPLE), *words]) == 1
    assert "--key, --certificate and --out" in capsys.readouterr().err
