"""Several models under one root: joined with the drawer open, apart in everything that follows."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.vendor.test_repository_cuts import Cut, CutAfter
from tests.vendor.workshop import (
    MODEL,
    NOW,
    PRODUCT,
    Clock,
    FileFetcher,
    TufClient,
    make_manifest,
    make_release,
    make_report,
)
from tuf.api.metadata import DelegatedRole, TargetFile, Targets

from limpet.crypto.suites import CURRENT, find_suite
from limpet.device.updater.floor import Floor
from limpet.device.updater.repository import Repository as DeviceRepository
from limpet.device.updater.source import NotFound
from limpet.errors import LimpetError, Rejected
from limpet.vendor import rollout as rollouts
from limpet.vendor.enrollment import DeviceIdentity, IdentityKind
from limpet.vendor.fleet import Intake
from limpet.vendor.front import Service
from limpet.vendor.home import Home, create, open_home
from limpet.vendor.repository import Repository, SignedRelease
from limpet.vendor.repository import models as joining
from limpet.vendor.repository._metadata import load_drawer_signers, sign_metadata
from limpet.vendor.repository._models import OfferedModel
from limpet.vendor.repository.founding import first_metadata, first_plan, keys_of
from limpet.vendor.repository.models import add_model
from limpet.vendor.repository.renewal import renew
from limpet.vendor.repository.suites import take_for_firmware
from limpet.vendor.rollout import Rollout
from limpet.vendor.store import Database
from limpet.wire.codec import encode_json
from limpet.wire.release import manifest_path
from limpet.wire.report import ReportKind
from limpet.wire.rollout import PlanState

OTHER = "doorbell"


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """The example under another model's name."""
    directory = tmp_path / "product"
    shutil.copytree(PRODUCT, directory, ignore=shutil.ignore_patterns("__pycache__"))
    file = directory / "product.toml"
    text = file.read_text()
    assert f'name = "{MODEL}"' in text
    file.write_text(text.replace(f'name = "{MODEL}"', f'name = "{OTHER}"'))
    return directory


def join(home: Home, product: Path) -> Home:
    return add_model(home, product, offline=home.offline, now=NOW)


def look(home: Home, model: str, directory: Path) -> DeviceRepository:
    """A device of `model` that reads the files."""
    files = FileFetcher(home.repository)

    class Source:
        def get(self, path: str, *, max_bytes: int) -> bytes:
            try:
                (data,) = files._fetch(f"https://repository.test/{path}")
            except Exception as error:
                raise NotFound(f"no {path}", 404) from error
            assert len(data) <= max_bytes
            return data

    return DeviceRepository(
        Source(),  # type: ignore[arg-type]  # images are not read here
        model=model,
        directory=directory,
        trusted_root=(home.trust / "root.json").read_bytes(),
    )


def plan_seen(home: Home, model: str, directory: Path) -> str:
    offer = look(home, model, directory).look(Floor(time=NOW), now=NOW, keep=lambda floor: None)
    return f"{offer.plan.model} {offer.plan.state.value}"


def release_of(home: Home, directory: Path, version: str = "1.1.0") -> SignedRelease:
    """A release of the model in view, signed by its own keys."""
    directory.mkdir()
    image = directory / "image"
    image.write_bytes(f"{home.model} {version}".encode() * 999)
    manifest = encode_json(make_manifest(image.read_bytes(), version, model=home.model))
    role = Repository(home, Clock()).state().role(f"releases/{home.model}")
    role.version += 1
    path = manifest_path(home.model, version)
    role.targets[path] = TargetFile.from_data(path, manifest, ["sha256"])
    signers = load_drawer_signers(home.offline, f"releases-{home.model}")
    return SignedRelease(manifest, image, sign_metadata(role, *signers))


def test_a_model_joins_and_devices_of_both_find_their_own_plan(
    home: Home, product: Path, tmp_path: Path
) -> None:
    added = join(home, product)
    assert added.model == OTHER
    assert open_home(home.root).settings.models == (MODEL, OTHER)
    assert plan_seen(home, MODEL, tmp_path / "old") == f"{MODEL} idle"
    assert plan_seen(home, OTHER, tmp_path / "new") == f"{OTHER} idle"
    assert added.product_file.read_bytes() == (product / "product.toml").read_bytes()
    assert added.factory_product_file.is_file()
    with pytest.raises(Rejected, match="this vendor has doorbell"):
        join(home, product)


def test_each_model_has_its_own_releases_and_its_own_keys(
    home: Home, product: Path, tmp_path: Path
) -> None:
    other = join(home, product)
    Repository(home, Clock()).add_release(make_release(home, tmp_path, "1.1.0"))
    Repository(other, Clock()).add_release(release_of(other, tmp_path / "other", "3.0.0"))
    versions = {
        one.model: [r.manifest.version for r in Repository(one, Clock()).releases()]
        for one in (home, other)
    }
    assert versions == {MODEL: ["1.1.0"], OTHER: ["3.0.0"]}
    with pytest.raises(Rejected) as refused:
        Repository(home, Clock()).add_release(release_of(other, tmp_path / "again", "3.1.0"))
    assert refused.value.reason == "wrong-model"
    client = TufClient(home, tmp_path / "client")
    assert client.read(manifest_path(OTHER, "3.0.0")) is not None
    assert client.read(manifest_path(OTHER, "1.1.0")) is None


def test_a_key_of_one_model_signs_nothing_of_another(
    home: Home, product: Path, tmp_path: Path
) -> None:
    other = join(home, product)
    for file in home.offline.glob(f"releases-{MODEL}*.pem"):
        shutil.copy(file, file.with_name(file.name.replace(MODEL, OTHER)))
    with pytest.raises(Rejected) as refused:
        Repository(other, Clock()).add_release(release_of(other, tmp_path / "stolen"))
    assert refused.value.reason == "bad-signature"


def test_rollouts_are_apart_and_reports_count_for_the_devices_own_model(
    home: Home, product: Path, tmp_path: Path
) -> None:
    other = join(home, product)
    clock, database = Clock(), Database.open(home.database)
    Repository(home, clock).add_release(make_release(home, tmp_path, "1.1.0"))
    Repository(other, clock).add_release(release_of(other, tmp_path / "other"))
    opened = {
        one.model: Rollout(
            home=one, database=database, repository=Repository(one, clock), clock=clock
        )
        for one in (open_home(home.root).of(MODEL), other)
    }
    for rollout in opened.values():
        rollouts.start(rollout, "1.1.0", shares_ppm=(1_000_000,), wait_seconds=10)
    rollouts.pause(opened[OTHER], reason="odd noises")
    states = {m: Repository(r.home, clock).plan().state for m, r in opened.items()}
    assert states == {MODEL: PlanState.RUNNING, OTHER: PlanState.PAUSED}
    assert plan_seen(home, OTHER, tmp_path / "device") == f"{OTHER} paused"

    intake = Intake(database=database, models=(MODEL, OTHER))
    digest = Repository(opened[MODEL].home, clock).plan().release
    assert digest is not None
    for sequence, model in enumerate((OTHER, MODEL)):
        client = DeviceIdentity(
            serial=f"S-{model}",
            model=model,
            kind=IdentityKind.OPERATIONAL,
            spki_sha256="0" * 64,
        )
        report = make_report(
            ReportKind.FELL_BACK,
            sequence=sequence + 1,
            model=model,
            version="1.1.0",
            manifest_sha256=digest.manifest_sha256,
        )
        assert intake.take(client, report, now=clock())
        assert rollouts.status(opened[MODEL]).failed == sequence, "a doorbell runs no thermostat's"


def test_the_service_renews_the_plans_of_all_models(home: Home, product: Path) -> None:
    other = join(home, product)
    clock = Clock(NOW + timedelta(days=6))
    Service.load(open_home(home.root), clock=clock).work()
    state = Repository(other, clock).state()
    for model in (MODEL, OTHER):
        assert state.role(f"rollout/{model}").version == 2


def test_renewal_keeps_all_models_and_each_is_renewed_by_root_and_targets(
    home: Home, product: Path, tmp_path: Path
) -> None:
    join(home, product)
    renew(home, offline=home.offline, now=NOW + timedelta(seconds=1))
    assert plan_seen(home, OTHER, tmp_path / "device") == f"{OTHER} idle"


def test_a_newer_suite_gives_each_model_a_key_of_each_family(product: Path, tmp_path: Path) -> None:
    home = create(
        tmp_path / "vendor",
        PRODUCT,
        now=NOW,
        unsafe_without_gate=True,
        suite=find_suite("limpet-2026"),
    )
    other = join(home, product)
    assert not list(home.offline.glob("*ml-dsa*"))
    made = take_for_firmware(
        open_home(home.root),
        find_suite(CURRENT.name),
        offline=home.offline,
        now=NOW + timedelta(seconds=1),
    )
    assert {f"releases-{model}-ml-dsa-65.pem" for model in (MODEL, OTHER)} < {f.name for f in made}
    assert plan_seen(other, OTHER, tmp_path / "device") == f"{OTHER} idle"


def test_a_cut_after_each_write_leaves_old_devices_whole_and_the_same_command_ends_it(
    home: Home, product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Repository
    for cut_after in range(1, 7):
        copy = open_home(shutil.copytree(home.root, tmp_path / f"cut{cut_after}"))
        known = look(copy, MODEL, tmp_path / f"known{cut_after}")
        known.look(Floor(time=NOW), now=NOW, keep=lambda floor: None)
        cut = CutAfter(cut_after)
        monkeypatch.setattr(
            joining, "Repository", lambda home, clock, cut=cut: real(home, clock, after_write=cut)
        )
        with pytest.raises(Cut):
            join(copy, product)
        assert (cut.names[-1] == "metadata/timestamp.json") == (cut_after == 6)
        keys = {f.name: f.read_bytes() for f in copy.offline.glob(f"releases-{OTHER}*")}
        assert open_home(copy.root).settings.models == (MODEL,)
        offer = known.look(Floor(time=NOW), now=NOW, keep=lambda floor: None)
        assert offer.plan.model == MODEL
        assert plan_seen(copy, MODEL, tmp_path / f"fresh{cut_after}") == f"{MODEL} idle"
        monkeypatch.setattr(joining, "Repository", real)
        Repository(copy, Clock(NOW + timedelta(days=6))).refresh_timestamp()
        again = join(copy, product)
        assert keys == {f.name: f.read_bytes() for f in copy.offline.glob(f"releases-{OTHER}*")}
        assert plan_seen(again, OTHER, tmp_path / f"new{cut_after}") == f"{OTHER} idle"


def _drops_the_old(targets: Targets) -> None:
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    del targets.delegations.roles[f"rollout/{MODEL}"]


def _takes_over_the_old(targets: Targets) -> None:
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    theirs = targets.delegations.roles[f"releases/{OTHER}"]
    targets.delegations.roles[f"releases/{MODEL}"].keyids = theirs.keyids


def _reaches_into_the_old(targets: Targets) -> None:
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    role = targets.delegations.roles[f"releases/{OTHER}"]
    assert isinstance(role, DelegatedRole)
    role.paths = ["firmware/*/*"]


def _goes_on(targets: Targets) -> None:
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    role = targets.delegations.roles[f"rollout/{OTHER}"]
    assert isinstance(role, DelegatedRole)
    role.terminating = False


def _skips_a_version(targets: Targets) -> None:
    targets.version += 1


def _has_expired(targets: Targets) -> None:
    targets.expires = NOW - timedelta(days=1)


def _says_more(targets: Targets) -> None:
    path = "firmware/anything.json"
    targets.targets[path] = TargetFile.from_data(path, b"x", ["sha256"])


def _is_right(targets: Targets) -> None:
    """The control."""


SPOILED: list[tuple[Callable[[Targets], None], str]] = [
    (_drops_the_old, "bad-metadata"),
    (_takes_over_the_old, "bad-metadata"),
    (_reaches_into_the_old, "bad-metadata"),
    (_goes_on, "bad-metadata"),
    (_says_more, "bad-metadata"),
    (_skips_a_version, "wrong-version"),
    (_has_expired, "expired-metadata"),
    (_is_right, ""),
]


@pytest.mark.parametrize(("spoil", "reason"), SPOILED)
def test_targets_that_does_more_than_add_a_model_is_refused(
    home: Home, spoil: Callable[[Targets], None], reason: str
) -> None:
    joining._make_releases_keys(home, OTHER, home.offline, None)
    releases = load_drawer_signers(home.offline, f"releases-{OTHER}")
    rollout = joining._rollout_signers(home, OTHER)
    repository = Repository(home, Clock())
    held, state = keys_of(releases), repository.state()
    targets, _ = joining._next_targets(home, OTHER, state, held, NOW)
    spoil(targets)
    first = first_metadata(OTHER, releases, rollout, NOW)
    offered = OfferedModel(
        model=OTHER,
        targets=sign_metadata(targets, *load_drawer_signers(home.offline, "tuf-targets")),
        releases=first[f"releases/{OTHER}"],
        rollout=first[f"rollout/{OTHER}"],
        plan=first_plan(OTHER, NOW)[1],
    )
    before = {file: file.read_bytes() for file in home.repository.rglob("*") if file.is_file()}
    if not reason:
        repository.add_model(offered)
        return
    with pytest.raises(Rejected) as refused:
        repository.add_model(offered)
    assert refused.value.reason == reason
    assert before == {f: f.read_bytes() for f in home.repository.rglob("*") if f.is_file()}


def test_a_wrong_targets_key_or_maker_changes_nothing(home: Home, product: Path) -> None:
    shutil.copy(home.offline / "tuf-root.pem", home.offline / "tuf-targets.pem")
    with pytest.raises(LimpetError):
        join(home, product)
    assert open_home(home.root).settings.models == (MODEL,)
    file = product / "product.toml"
    file.write_text(file.read_text().replace(home.settings.maker, "Somebody Else"))
    with pytest.raises(Rejected) as refused:
        join(home, product)
    assert refused.value.reason == "wrong-maker"


def test_where_there_are_several_models_a_command_says_which(home: Home, product: Path) -> None:
    assert home.choose("").model == MODEL
    join(home, product)
    several = open_home(home.root)
    assert several.choose(OTHER).model == OTHER
    for given, reason in (("", "which-model"), ("toaster", "unknown-model")):
        with pytest.raises(Rejected, match="thermostat, doorbell") as refused:
            several.choose(given)
        assert refused.value.reason == reason


def test_only_the_models_of_this_vendor_report(home: Home) -> None:
    intake = Intake(database=Database.open(home.database), models=(MODEL,))
    client = DeviceIdentity(
        serial="D-1", model=OTHER, kind=IdentityKind.OPERATIONAL, spki_sha256="0" * 64
    )
    with pytest.raises(Rejected, match="knows thermostat only"):
        intake.take(client, make_report(ReportKind.RUNNING, model=OTHER), now=datetime.now(UTC))


def test_each_model_has_its_own_public_pages_and_mud_file(home: Home, product: Path) -> None:
    alone = Service.load(home, clock=lambda: NOW).render()
    assert f"/mud/{OTHER}.json" not in alone
    assert b"Our other products" not in alone["/"].body
    file = product / "product.toml"
    text = file.read_text()
    shown = 'display_name = "Room Thermostat"'
    assert shown in text
    file.write_text(text.replace(shown, 'display_name = "Ding & Dong"'))
    join(home, product)
    site = Service.load(open_home(home.root), clock=lambda: NOW).render()
    for path, page in alone.items():
        if path != "/" and not path.startswith("/compare"):
            assert site[path].body == page.body, f"{path} of the first model changed"
    for path in (f"/products/{OTHER}", f"/support/{OTHER}", f"/security/{OTHER}"):
        assert b"Ding &amp; Dong" in site[path].body
        assert f'href="../security/{OTHER}.html"'.encode() in site[path].body
    assert f'href="products/{OTHER}.html"'.encode() in site["/"].body
    assert b"Ding &amp; Dong" in site["/compare"].body
    mud = json.loads(site[f"/mud/{OTHER}.json"].body)["ietf-mud:mud"]
    assert mud["mud-url"].endswith(f"/mud/{OTHER}.json")
    assert len({page.file for page in site.values()}) == len(site), "no two in one file"
