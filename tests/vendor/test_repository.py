"""The repository: python-tuf's own client follows it, and a bad hand-over changes nothing."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tests.vendor.workshop import (
    ANY_STEP,
    MODEL,
    NOW,
    Clock,
    Signing,
    TufClient,
    make_manifest,
    make_release,
    next_releases,
)
from tuf.api.metadata import Delegations, TargetFile

from limpet.errors import Rejected
from limpet.vendor.home import Home
from limpet.vendor.repository import Repository, SignedRelease
from limpet.vendor.repository._shelf import Shelf
from limpet.wire.codec import decode_json, encode_json
from limpet.wire.release import manifest_path
from limpet.wire.rollout import PLAN_BYTES, Plan, PlannedRelease, PlanState, plan_path
from limpet.wire.support import AfterSupport, SupportStatement, support_path

SUPPORT = SupportStatement(
    model=MODEL,
    until=NOW + timedelta(days=400),
    after=AfterSupport.KEEPS_WORKING_LOCALLY,
    text="It goes on heating.",
    issued_at=NOW,
)


def test_a_client_follows_from_the_root_in_the_firmware_to_the_idle_plan(
    home: Home, tmp_path: Path
) -> None:
    data = TufClient(home, tmp_path / "client").read(plan_path(MODEL))
    assert data is not None
    assert decode_json(data, Plan, max_bytes=PLAN_BYTES).state is PlanState.IDLE


def test_a_published_release_reaches_a_client_with_its_image(home: Home, tmp_path: Path) -> None:
    client = TufClient(home, tmp_path / "client")
    assert client.read(manifest_path(MODEL, "1.1.0")) is None
    release = make_release(home, tmp_path)
    published = Repository(home, Clock()).add_release(release)
    assert client.read(manifest_path(MODEL, "1.1.0")) == release.manifest
    assert published.manifest_sha256 == hashlib.sha256(release.manifest).hexdigest()
    image = home.repository / published.manifest.image.path
    assert image.read_bytes() == release.image.read_bytes()


def test_releases_are_listed_by_version_and_found(home: Home, tmp_path: Path) -> None:
    repository = Repository(home, Clock())
    for version in ("1.10.0", "1.9.0"):
        repository.add_release(make_release(home, tmp_path, version))
    assert [r.manifest.version for r in repository.releases()] == ["1.9.0", "1.10.0"]
    assert repository.find_release("1.9.0").manifest.version == "1.9.0"
    with pytest.raises(Rejected, match="not published"):
        repository.find_release("2.0.0")


def test_a_look_at_one_role_reads_no_other(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Repository(home, Clock())
    repository.add_release(make_release(home, tmp_path))
    names: list[str] = []
    read = Shelf.read

    def record(shelf: Shelf, name: str, **bound: int) -> bytes:
        names.append(name)
        return read(shelf, name, **bound)

    monkeypatch.setattr(Shelf, "read", record)
    assert not repository.refresh_timestamp()
    assert not [name for name in names if "releases/" in name or "rollout/" in name]
    assert repository.find_release("1.1.0")
    assert [name for name in names if "releases/" in name]
    assert not [name for name in names if "rollout/" in name]
    repository.state()
    assert [name for name in names if "rollout/" in name], "the control: all of it is all roles"


def test_a_plan_reaches_a_client(home: Home, tmp_path: Path) -> None:
    plan = Plan(
        model=MODEL,
        state=PlanState.RUNNING,
        release=PlannedRelease(version="1.1.0", manifest_sha256="0" * 64),
        admitted_ppm=250_000,
        issued_at=NOW,
    )
    Repository(home, Clock()).publish_plan(plan)
    data = TufClient(home, tmp_path / "client").read(plan_path(MODEL))
    assert data is not None
    assert decode_json(data, Plan, max_bytes=PLAN_BYTES) == plan
    assert Repository(home, Clock()).plan() == plan


def test_a_support_statement_is_published_and_can_be_replaced(home: Home, tmp_path: Path) -> None:
    repository = Repository(home, Clock())
    assert repository.support() is None
    for days in (400, 800):
        statement = encode_json(replace_until(days))
        signing = next_releases(home, support_path(MODEL), statement)
        repository.publish_support(statement, signing.data())
    assert repository.support() == replace_until(800)
    assert TufClient(home, tmp_path / "client").read(support_path(MODEL)) == statement


def replace_until(days: int) -> SupportStatement:
    return SupportStatement(
        model=MODEL,
        until=NOW + timedelta(days=days),
        after=SUPPORT.after,
        text=SUPPORT.text,
        issued_at=NOW,
    )


# --- attacks on the hand-over

Spoil = Callable[[Signing, Home], None]


def _forge(signing: Signing, home: Home) -> None:
    signing.signers = [CryptoSigner.generate_ed25519()]


def _unsign(signing: Signing, home: Home) -> None:
    signing.signers = []


def _sign_online(signing: Signing, home: Home) -> None:
    from limpet.vendor.repository._metadata import load_drawer_signers

    signing.signers = load_drawer_signers(home.online, f"rollout-{MODEL}")


def _skip_version(signing: Signing, home: Home) -> None:
    signing.targets.version += 1


def _repeat_version(signing: Signing, home: Home) -> None:
    signing.targets.version -= 1


def _expire(signing: Signing, home: Home) -> None:
    signing.targets.expires = NOW


def _add_stranger(signing: Signing, home: Home) -> None:
    path = f"firmware/{MODEL}/9.9.9.json"
    signing.targets.targets[path] = TargetFile.from_data(path, b"{}", ["sha256"])


def _leave_paths(signing: Signing, home: Home) -> None:
    path = plan_path(MODEL)
    signing.targets.targets[path] = TargetFile.from_data(path, b"{}", ["sha256"])


def _delegate(signing: Signing, home: Home) -> None:
    signing.targets.delegations = Delegations({}, {})


def _other_manifest(signing: Signing, home: Home) -> None:
    path = manifest_path(MODEL, "1.1.0")
    signing.targets.targets[path] = TargetFile.from_data(path, b"{}", ["sha256"])


def _no_manifest(signing: Signing, home: Home) -> None:
    del signing.targets.targets[manifest_path(MODEL, "1.1.0")]


def _weak_hash(signing: Signing, home: Home) -> None:
    path = manifest_path(MODEL, "1.1.0")
    listed = signing.targets.targets[path]
    listed.hashes = {"md5": "0" * 32}


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_forge, "bad-signature"),
        (_unsign, "bad-signature"),
        (_sign_online, "bad-signature"),
        (_skip_version, "wrong-version"),
        (_repeat_version, "wrong-version"),
        (_expire, "expired-metadata"),
        (_add_stranger, "bad-metadata"),
        (_leave_paths, "bad-metadata"),
        (_delegate, "bad-metadata"),
        (_other_manifest, "bad-metadata"),
        (_no_manifest, "bad-metadata"),
        (_weak_hash, "bad-metadata"),
    ],
)
def test_wrong_release_metadata_is_refused_and_clients_see_nothing_of_it(
    home: Home, tmp_path: Path, spoil: Spoil, reason: str
) -> None:
    release = make_release(home, tmp_path)
    signing = next_releases(home, manifest_path(MODEL, "1.1.0"), release.manifest)
    spoil(signing, home)
    before = snapshot_of(home)
    with pytest.raises(Rejected) as caught:
        Repository(home, Clock()).add_release(replace(release, metadata=signing.data()))
    assert caught.value.reason == reason
    assert snapshot_of(home) == before


def snapshot_of(home: Home) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in home.public.rglob("*") if p.is_file()}


@pytest.mark.parametrize("position", range(0, 900, 60))
def test_one_flipped_byte_of_the_metadata_is_refused(
    home: Home, tmp_path: Path, position: int
) -> None:
    release = make_release(home, tmp_path)
    data = bytearray(release.metadata)
    data[position % len(data)] ^= 1
    with pytest.raises(Rejected) as caught:
        Repository(home, Clock()).add_release(replace(release, metadata=bytes(data)))
    assert caught.value.reason in {"bad-signature", "bad-metadata"}


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"\xff", b'{"signed":{"_type":"root"}}', b"[" * 9999]
)
def test_metadata_that_is_none_is_refused(home: Home, tmp_path: Path, data: bytes) -> None:
    release = replace(make_release(home, tmp_path), metadata=data)
    with pytest.raises(Rejected) as caught:
        Repository(home, Clock()).add_release(release)
    assert caught.value.reason == "bad-metadata"


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b"X" + b[1:]])
def test_an_image_that_is_not_the_manifests_is_refused(
    home: Home, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    release = make_release(home, tmp_path)
    release.image.write_bytes(change(release.image.read_bytes()))
    before = snapshot_of(home)
    with pytest.raises(Rejected) as caught:
        Repository(home, Clock()).add_release(release)
    assert caught.value.reason == "tampered-image"
    assert snapshot_of(home) == before


def test_a_version_is_published_once(home: Home, tmp_path: Path) -> None:
    repository = Repository(home, Clock())
    repository.add_release(make_release(home, tmp_path))
    other = make_release(home, tmp_path, "1.1.0", bounds=ANY_STEP)
    with pytest.raises(Rejected) as caught:
        repository.add_release(other)
    assert caught.value.reason == "already-published"


def test_a_release_for_another_model_is_refused(home: Home, tmp_path: Path) -> None:
    image = tmp_path / "i.img"
    image.write_bytes(b"x")
    manifest = encode_json(make_manifest(b"x", "1.1.0", model="kettle"))
    signing = next_releases(home, manifest_path("kettle", "1.1.0"), manifest)
    with pytest.raises(Rejected) as caught:
        Repository(home, Clock()).add_release(SignedRelease(manifest, image, signing.data()))
    assert caught.value.reason == "wrong-model"


def test_a_file_changed_behind_our_back_is_found_before_anything_is_signed(
    home: Home, tmp_path: Path
) -> None:
    victim = home.repository / "metadata" / "1.releases" / f"{MODEL}.json"
    victim.write_bytes(victim.read_bytes().replace(b"targets", b"targetz"))
    with pytest.raises(Rejected) as caught:
        Repository(home, Clock()).publish_plan(
            Plan(model=MODEL, state=PlanState.IDLE, issued_at=NOW)
        )
    assert caught.value.reason == "bad-repository"
    assert "restore" in caught.value.hint


def test_the_timestamp_is_renewed_when_half_its_day_is_gone(home: Home, tmp_path: Path) -> None:
    clock = Clock()
    repository = Repository(home, clock)
    clock.pass_seconds(11 * 3600)
    assert not repository.refresh_timestamp()
    clock.pass_seconds(2 * 3600)
    assert repository.refresh_timestamp()
    assert repository.state().timestamp.expires == clock.now + timedelta(days=1)
    assert repository.state().snapshot.version == 1
    assert not repository.refresh_timestamp()


def test_snapshot_and_rollout_are_renewed_before_they_expire(home: Home, tmp_path: Path) -> None:
    clock = Clock()
    repository = Repository(home, clock)
    for _ in range(20):
        clock.pass_seconds(13 * 3600)
        repository.refresh_timestamp()
        assert repository.state().earliest_expiry() > clock.now
    assert repository.state().role(f"rollout/{MODEL}").version > 1
    TufClient(home, tmp_path / "client").refreshed()


def test_the_online_part_never_reads_the_offline_drawer(home: Home, tmp_path: Path) -> None:
    import shutil

    release = make_release(home, tmp_path)
    shutil.rmtree(home.offline)
    clock = Clock()
    repository = Repository(home, clock)
    repository.add_release(release)
    clock.pass_seconds(80000)
    assert repository.refresh_timestamp()


# --- renewal with the drawer open


def test_root_targets_and_certificate_are_renewed_and_old_clients_follow(
    home: Home, tmp_path: Path
) -> None:
    from limpet.crypto.chains import load_certificates
    from limpet.vendor.repository.renewal import renew

    client = TufClient(home, tmp_path / "client")
    client.refreshed()
    old_root = (home.trust / "root.json").read_bytes()
    drawer = home.offline.rename(tmp_path / "drawer")
    later = NOW + timedelta(days=300)
    renew(home, offline=drawer, now=later)
    state = Repository(home, Clock()).state()
    assert (state.root.version, state.targets.version) == (2, 2)
    assert state.targets.expires == later + timedelta(days=365)
    certificate = load_certificates((home.online / "service.pem").read_bytes())[0]
    assert certificate.not_valid_after_utc >= later + timedelta(days=364)
    (home.trust / "root.json").write_bytes(old_root)  # a device with old firmware
    assert client.refreshed()
    assert TufClient(home, tmp_path / "fresh").refreshed()


@pytest.mark.parametrize("forged", ["root", "targets"])
def test_a_root_or_targets_that_the_drawer_did_not_sign_is_refused(
    home: Home, tmp_path: Path, forged: str
) -> None:
    from limpet.vendor.repository._metadata import load_drawer_signers, renewed, sign_metadata

    state = Repository(home, Clock()).state()
    signers = {
        name: load_drawer_signers(home.offline, f"tuf-{name}") for name in ("root", "targets")
    }
    signers[forged] = [CryptoSigner.generate_ed25519(), CryptoSigner.generate_mldsa()]
    span = timedelta(days=9)
    root = sign_metadata(renewed(state.root, now=NOW, lifetime=span), *signers["root"])
    targets = sign_metadata(renewed(state.targets, now=NOW, lifetime=span), *signers["targets"])
    before = snapshot_of(home)
    with pytest.raises(Rejected) as caught:
        Repository(home, Clock()).publish_roots(root, targets)
    assert caught.value.reason == "bad-signature"
    assert snapshot_of(home) == before


def test_a_stolen_root_cannot_be_skipped_to_or_drop_a_role(home: Home) -> None:
    from limpet.vendor.repository._metadata import load_drawer_signers, renewed, sign_metadata

    signers = {
        name: load_drawer_signers(home.offline, f"tuf-{name}") for name in ("root", "targets")
    }
    span = timedelta(days=9)

    def offer(*, skip: int = 0, drop: bool = False, span: timedelta = span) -> str:
        state = Repository(home, Clock()).state()
        state.root.version += skip
        if drop:
            state.targets.delegations = None
        root = sign_metadata(renewed(state.root, now=NOW, lifetime=span), *signers["root"])
        targets = sign_metadata(renewed(state.targets, now=NOW, lifetime=span), *signers["targets"])
        with pytest.raises(Rejected) as caught:
            Repository(home, Clock()).publish_roots(root, targets)
        return caught.value.reason

    assert offer(skip=1) == "wrong-version"
    assert offer(drop=True) == "bad-metadata"
    assert offer(span=timedelta()) == "expired-metadata"
    assert offer(span=timedelta(days=9)) == "expired-metadata"  # sooner than what it replaces
