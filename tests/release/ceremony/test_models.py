"""Another model joins a vendor whose offline keys several people hold."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.release.ceremony.people import Person, merged, naming, now, person
from tests.release.ceremony.test_commands import sign_at_home, told
from tests.release.workshop import EXAMPLE
from tests.vendor.test_suites import Files
from tuf.api.metadata import DelegatedRole, Key, Metadata, TargetFile, Targets

from limpet.device.updater.floor import Floor
from limpet.device.updater.repository import Repository as DeviceRepository
from limpet.errors import Rejected
from limpet.release.ceremony import (
    SigningRequest,
    load_request,
    open_request,
    request_model,
    save_request,
)
from limpet.vendor.home import Home, open_home
from limpet.vendor.repository.models import add_signed_model, draft_model

RELEASES = "releases/doorbell"


@pytest.fixture
def product(place: Path) -> Path:
    """The example under another model's name."""
    directory = place / "doorbell"
    directory.mkdir()
    text = (EXAMPLE / "product.toml").read_text()
    assert 'name = "thermostat"' in text
    (directory / "product.toml").write_text(
        text.replace('name = "thermostat"', 'name = "doorbell"')
    )
    return directory


def ask(
    home: Home, product: Path, holders: Sequence[Key] = (), threshold: int | None = None
) -> Path:
    proposed = draft_model(home, product, holders, threshold=threshold, now=now())
    file = product.parent / "doorbell.request"
    save_request(request_model(proposed, home.repository, now=now()), file)
    return file


def signed(request: Path, *people: Person) -> dict[str, bytes]:
    whole = request.with_suffix(".signed")
    files = [one.sign(request, holders=True) for one in people]
    return load_request(merged(files, whole)).proposed


def look(home: Home, model: str, directory: Path) -> None:
    """A new device of the model checks once."""
    repository = DeviceRepository(
        Files(home),
        model=model,
        directory=directory,
        trusted_root=(home.trust / "root.json").read_bytes(),
    )
    repository.look(Floor(time=now()), now=now(), keep=lambda floor: None)


def files_of(home: Home) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in home.repository.rglob("*") if file.is_file()}


def test_two_people_let_a_model_join_and_its_devices_believe_the_repository(
    home: Home, place: Path, product: Path, first: Person, third: Person
) -> None:
    with pytest.raises(Rejected):
        look(home, "doorbell", place / "too-early")
    added = add_signed_model(home, product, signed(ask(home, product), first, third), now=now())
    assert added.settings.models == ("thermostat", "doorbell")
    assert open_home(home.root).of("doorbell").product_file.is_file()
    look(home, "doorbell", place / "new")
    look(home, "thermostat", place / "old")
    with pytest.raises(Rejected) as refused:
        ask(home, product)
    assert refused.value.reason == "known-model"


def test_one_person_alone_adds_no_model(
    home: Home, place: Path, product: Path, second: Person
) -> None:
    before = files_of(home)
    with pytest.raises(Rejected) as refused:
        add_signed_model(home, product, signed(ask(home, product), second), now=now())
    assert refused.value.reason == "bad-signature"
    assert files_of(home) == before
    assert open_home(home.root).settings.models == ("thermostat",)


def test_its_releases_may_be_other_peoples_and_a_model_of_one_is_said(
    home: Home, place: Path, product: Path, first: Person, second: Person
) -> None:
    others = [person(place / name, home) for name in ("bell-1", "bell-2")]
    keys: list[Key] = [key for _, key in naming(others)]  # type: ignore[misc]
    alone = load_request(ask(home, product, keys, threshold=2))
    review = open_request(alone, root=first.root, holders=True, now=now()).review
    assert review.title == "another model: doorbell"
    assert review.warnings == (f"one person alone can sign for {RELEASES}",)
    unreachable = load_request(ask(home, product, keys, threshold=5))
    with pytest.raises(Rejected) as refused:
        open_request(unreachable, root=first.root, holders=True, now=now())
    assert refused.value.reason == "unreachable"
    proposed = signed(ask(home, product, keys, threshold=4), first, second, *others)
    add_signed_model(home, product, proposed, now=now())
    look(home, "doorbell", place / "new")


def changed(
    request: SigningRequest, role: str, change: Callable[[Targets], None]
) -> SigningRequest:
    metadata = Metadata[Targets].from_bytes(request.proposed[role])
    change(metadata.signed)
    return replace(request, proposed={**request.proposed, role: metadata.to_bytes()})


def roles(targets: Targets) -> dict[str, DelegatedRole]:
    assert targets.delegations
    assert targets.delegations.roles
    return targets.delegations.roles


def widen(targets: Targets) -> None:
    roles(targets)[RELEASES].paths = ["firmware/*"]


def go_on(targets: Targets) -> None:
    roles(targets)["rollout/doorbell"].terminating = False


def take_over(targets: Targets) -> None:
    theirs, mine = roles(targets)["releases/thermostat"], roles(targets)["rollout/doorbell"]
    theirs.keyids, theirs.threshold = list(mine.keyids), 1


def drop(targets: Targets) -> None:
    del roles(targets)["rollout/doorbell"]


def offer(targets: Targets) -> None:
    path = "firmware/doorbell/6.6.6.json"
    targets.targets[path] = TargetFile.from_data(path, b"evil", ["sha256"])


def skip(targets: Targets) -> None:
    targets.version += 1


ATTACKS = [
    ("targets", widen, "bad-metadata"),
    ("targets", go_on, "bad-metadata"),
    ("targets", take_over, "bad-metadata"),
    ("targets", drop, "bad-metadata"),
    ("targets", offer, "bad-metadata"),
    ("targets", skip, "wrong-version"),
    (RELEASES, offer, "bad-metadata"),
    (RELEASES, skip, "bad-metadata"),
]


@pytest.mark.parametrize(("role", "change", "reason"), ATTACKS)
def test_a_request_for_a_model_that_changes_anything_else_is_not_signed(
    home: Home,
    product: Path,
    first: Person,
    role: str,
    change: Callable[[Targets], None],
    reason: str,
) -> None:
    honest = load_request(ask(home, product))
    open_request(honest, root=first.root, holders=True, now=now())
    with pytest.raises(Rejected) as refused:
        open_request(changed(honest, role, change), root=first.root, holders=True, now=now())
    assert refused.value.reason == reason


def test_what_was_signed_for_one_model_adds_no_other(
    home: Home, place: Path, product: Path, first: Person, third: Person
) -> None:
    proposed = signed(ask(home, product), first, third)
    other = Path(shutil.copytree(product, place / "lamp"))
    file = other / "product.toml"
    file.write_text(file.read_text().replace('name = "doorbell"', 'name = "lamp"'))
    with pytest.raises(Rejected) as refused:
        add_signed_model(home, other, proposed, now=now())
    assert refused.value.reason == "other-request"
    add_signed_model(home, product, proposed, now=now())


def test_people_let_a_model_join_with_commands(
    home: Home, place: Path, product: Path, second: Person, third: Person
) -> None:
    office = place / "office"
    office.mkdir()
    add = ["vendor", "model", "add", home.root, "--product", product]
    assert "another model: doorbell" in told(*add, "--request", "d.request", directory=office)
    files = sign_at_home(office / "d.request", (second, third))
    whole = ["--root", home.trust / "root.json", "--out", "all.request"]
    told("vendor", "root", "merge", *files, *whole, directory=office)
    assert "restart the service now" in told(*add, "--signed", "all.request", directory=office)
    assert "doorbell" in told("vendor", "model", "list", home.root, directory=office)
