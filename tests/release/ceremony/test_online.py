"""The server was stolen, and several people hold root and targets: they sign for other online keys
that the operator has made. What devices do is asked of a device's own updater."""

import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.release.ceremony.people import Person, merged, now, person
from tests.release.ceremony.test_commands import limpet, sign_at_home, told
from tests.release.ceremony.test_holders import Device
from tests.vendor.workshop import running
from tuf.api.metadata import Metadata, Root, Targets, Timestamp

from limpet.crypto.tls import client_context
from limpet.errors import Rejected
from limpet.https.client import HttpsClient
from limpet.release import load_public_key
from limpet.release.ceremony import (
    SigningRequest,
    load_request,
    open_request,
    request_online,
    save_request,
)
from limpet.vendor.home import Home
from limpet.vendor.repository import Repository, rekeying
from limpet.vendor.repository._lifetimes import TIMESTAMP
from limpet.vendor.repository._metadata import load_drawer_signers, renewed, sign_metadata
from limpet.vendor.repository.holders import publish_holders
from limpet.vendor.repository.rekeying import draft_online_keys, publish_online_keys

ONLINE = {"timestamp", "snapshot", "rollout/thermostat"}


@pytest.fixture
def device(home: Home, tmp_path: Path) -> Device:
    found = Device(home, tmp_path / "device")
    found.look()
    return found


@pytest.fixture
def stolen(home: Home, place: Path) -> Path:
    """What the thief has: all that is online."""
    return Path(shutil.copytree(home.online, place / "stolen"))


def ask_for_keys(home: Home, place: Path, name: str = "stolen.request") -> Path:
    """The operator, with the two authorities and no key of root or targets."""
    root, targets = draft_online_keys(home, offline=place / "authority", now=now())
    file = place / name
    save_request(request_online(root, targets, home.repository, now=now()), file)
    return file


def signed(request: Path, *people: Person) -> dict[str, bytes]:
    whole = merged([one.sign(request, holders=True) for one in people], request)
    return load_request(whole).proposed


def online_files(home: Home) -> dict[str, bytes]:
    files = (*home.online.glob("*.pem"), *home.online.glob("*.key"))
    return {file.name: file.read_bytes() for file in files}


def postpone(home: Home, stolen: Path) -> None:
    """The thief signs another timestamp with the key that they have."""
    timestamp = renewed(Repository(home, now).state().timestamp, now=now(), lifetime=TIMESTAMP)
    data = sign_metadata(timestamp, *load_drawer_signers(stolen, "tuf-timestamp"))
    (home.repository / "metadata" / "timestamp.json").write_bytes(data)


def test_two_people_end_a_theft_and_devices_go_on_without_the_thief(
    home: Home, place: Path, device: Device, stolen: Path, first: Person, third: Person
) -> None:
    postpone(home, stolen)
    device.look()  # the control: until then the thief's word counts
    before = online_files(home)
    request = ask_for_keys(home, place)
    device.look()
    assert online_files(home) == before, "nothing is in use before people have signed"
    publish_online_keys(home, signed(request, first, third), now=now())
    after = online_files(home)
    kept = {name for name in after if after[name] == before.get(name)}
    assert kept == {"device-root.pem", "factory-ca.pem"}, "certificates whose keys are not here"
    Repository(home, now).verify_keys()
    device.look()
    Device(home, place / "new-device").look()
    assert not {file.name for file in home.online.iterdir()} & {
        "rekeying.json",
        "rekeying-draft.json",
    }
    postpone(home, stolen)
    with pytest.raises(Rejected) as refused:
        device.look()
    assert refused.value.reason == "bad-signature"


def test_signers_read_whose_keys_change_and_which(
    home: Home, place: Path, first: Person, third: Person
) -> None:
    request = load_request(ask_for_keys(home, place))
    review = open_request(request, root=first.root, holders=True, now=now()).review
    assert review.title == "root 3: other keys of the server"
    changed = [label for label, text in review.lines if "(was " in text]
    assert set(changed) == ONLINE
    assert not [text for text in review.warnings if "one person alone" in text]
    named = "".join(text for _, text in review.lines).replace(" ", "")
    root = Metadata[Root].from_bytes(request.proposed["root"]).signed
    assert all(
        keyid in named for role in ONLINE & set(root.roles) for keyid in root.roles[role].keyids
    )


def test_one_person_alone_changes_no_key_of_the_server(
    home: Home, place: Path, device: Device, second: Person
) -> None:
    before = online_files(home)
    proposed = signed(ask_for_keys(home, place), second)
    with pytest.raises(Rejected) as refused:
        publish_online_keys(home, proposed, now=now())
    assert refused.value.reason == "bad-signature"
    assert online_files(home) == before
    device.look()


def test_what_was_signed_for_other_keys_than_the_last_ones_is_refused(
    home: Home, place: Path, first: Person, second: Person, third: Person
) -> None:
    """The operator begins anew; or a thief who is still on the server has other keys signed."""
    old = signed(ask_for_keys(home, place), first, third)
    new = ask_for_keys(home, place, "again.request")
    with pytest.raises(Rejected) as refused:
        publish_online_keys(home, old, now=now())
    assert refused.value.reason == "other-request"
    with pytest.raises(Rejected) as refused:
        signed(new, first)
    assert refused.value.reason == "signed-before", "that they signed another is known to them"
    files = [one.sign(new, holders=True, again=True) for one in (first, third)]
    publish_online_keys(home, load_request(merged(files, new)).proposed, now=now())
    Repository(home, now).verify_keys()


def with_key_of(one: Person, role: str, request: SigningRequest) -> SigningRequest:
    """The next root, in which `role` may be signed by `one` too."""
    root = Metadata[Root].from_bytes(request.proposed["root"])
    key = load_public_key(one.public[0])
    root.signed.keys[key.keyid] = key
    root.signed.roles[role].keyids.append(key.keyid)
    return replace(request, proposed={**request.proposed, "root": root.to_bytes()})


def delegating_wider(request: SigningRequest) -> SigningRequest:
    targets = Metadata[Targets].from_bytes(request.proposed["targets"])
    assert targets.signed.delegations
    assert targets.signed.delegations.roles
    targets.signed.delegations.roles["rollout/thermostat"].paths = ["*"]
    return replace(request, proposed={**request.proposed, "targets": targets.to_bytes()})


def test_a_request_for_online_keys_that_changes_anything_else_is_not_signed(
    home: Home, place: Path, first: Person
) -> None:
    honest = load_request(ask_for_keys(home, place))
    thief = person(place / "thief", home)
    attacks = {
        "bad-metadata": [
            with_key_of(thief, "root", honest),
            with_key_of(thief, "targets", honest),
            delegating_wider(honest),
            replace(honest, kind="holders"),
        ],
        "malformed": [
            replace(honest, proposed={"root": honest.proposed["root"]}),
            replace(honest, proposed={**honest.proposed, "releases/thermostat": b"{}"}),
        ],
    }
    for reason, forged in attacks.items():
        for number, request in enumerate(forged):
            with pytest.raises(Rejected) as refused:
                open_request(request, root=first.root, holders=True, now=now())
            assert refused.value.reason == reason, (number, refused.value)
    open_request(honest, root=first.root, holders=True, now=now())
    with pytest.raises(Rejected) as refused:
        publish_holders(home, honest.proposed, now=now())
    assert refused.value.reason == "bad-signature"


class CutError(Exception):
    """The power is gone."""


def test_after_a_cut_at_any_write_the_same_command_ends_it(
    home: Home,
    place: Path,
    device: Device,
    first: Person,
    third: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is cut at the first write, begun again and cut at the second, and so on."""
    proposed = signed(ask_for_keys(home, place), first, third)
    true_write, true_shelf = rekeying.write_atomic, rekeying.Shelf.write
    for cuts in range(40):
        left = cuts

        def count() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise CutError

        def cut_write(*given: object, **named: object) -> None:
            true_write(*given, **named)  # type: ignore[arg-type]
            count()

        def cut_shelf(shelf: rekeying.Shelf, name: str, data: bytes) -> None:
            true_shelf(shelf, name, data)
            count()

        with monkeypatch.context() as patched:
            patched.setattr(rekeying, "write_atomic", cut_write)
            patched.setattr(rekeying.Shelf, "write", cut_shelf)
            try:
                publish_online_keys(home, proposed, now=now())
            except CutError:
                continue
        break
    assert cuts >= 10
    Repository(home, now).verify_keys()
    device.look()
    assert not (home.online / "rekeying.json").exists()


def test_people_end_a_theft_with_commands_and_the_service_serves_by_the_new_keys(
    home: Home, place: Path, first: Person, second: Person
) -> None:
    office = place / "office"
    office.mkdir()
    vendor, root = home.root, home.trust / "root.json"
    pki = ["--offline", place / "authority"]
    made = told("vendor", "rekey", vendor, *pki, "--request", "s.request", directory=office)
    assert "other keys of the server" in made
    files = sign_at_home(office / "s.request", (first, second))
    early = limpet("vendor", "root", "publish", vendor, files[0], directory=office)
    assert early.returncode == 1
    whole = ["--root", root, "--out", "all.request"]
    told("vendor", "root", "merge", *files, *whole, directory=office)
    done = told("vendor", "root", "publish", vendor, "all.request", directory=office)
    assert "restart the service now" in done
    tls = client_context(roots_pem=(home.trust / "service-root.pem").read_bytes())
    with (
        running(home) as service,
        HttpsClient(f"https://localhost:{service.port}", tls=tls) as client,
    ):
        answer = client.get("/repository/metadata/timestamp.json", max_bytes=16 << 10)
    named = {one.public_key.keyid for one in load_drawer_signers(home.online, "tuf-timestamp")}
    assert set(Metadata[Timestamp].from_bytes(answer.body).signatures) == named
