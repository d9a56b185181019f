"""Attacks with files: arbitrary software, mixtures, endless data, more than asked, strangers."""

import hashlib
from datetime import timedelta
from typing import Any

from msgspec.structs import replace
from securesystemslib.signer import CryptoSigner
from tests.device.updater.attacks import Attack, Case
from tests.device.updater.simulator import (
    MODEL,
    NOW,
    RELEASES,
    ROLLOUT,
    RepositorySimulator,
    make_manifest,
)
from tests.device.updater.thief import rotate
from tuf.api.metadata import DelegatedRole, Delegations, MetaFile, TargetFile, Targets

from limpet.device.updater.check import Outcome
from limpet.wire.codec import encode_json
from limpet.wire.release import Bounds, manifest_path
from limpet.wire.rollout import PLAN_BYTES, Plan, PlannedRelease, PlanState, plan_path

NETWORK = "the network, or the server's files"
SERVER = "the server with all online keys"
SIGNER = "a mistake of the release keys' holders"


def _forged(case: Case, version: str = "6.6.6", **changes: Any) -> tuple[bytes, PlannedRelease]:
    manifest = encode_json(make_manifest(case.repository, case.work, version, **changes))
    digest = hashlib.sha256(manifest).hexdigest()
    return manifest, PlannedRelease(version=version, manifest_sha256=digest)


def _bit_in_image(case: Case) -> None:
    case.spoil("images/")


def _other_image(case: Case) -> None:
    other = make_manifest(case.repository, case.work, "1.0.9").image.path
    case.spoil("images/", case.repository.files[other])
    [mine] = [
        name for name in case.repository.files if name.startswith("images/") and name != other
    ]
    case.repository.files[mine] = case.repository.files[other]


def _bit_in_manifest(case: Case) -> None:
    case.spoil(f"targets/firmware/{MODEL}/")


def _unsigned(case: Case) -> None:
    case.thief()
    manifest, planned = _forged(case)
    case.repository.files[f"targets/firmware/{MODEL}/{planned.manifest_sha256}.6.6.6.json"] = (
        manifest
    )
    case.offer(planned)


def _signed_by_online_keys(case: Case) -> None:
    case.thief(bold=True)
    keys = [case.repository.keys[name] for name in (ROLLOUT, "snapshot")]
    case.repository.signing[RELEASES] = keys
    case.repository.publishing = frozenset((RELEASES, ROLLOUT))
    case.offer(case.sign("6.6.6"))


def _delegated_by_rollout(case: Case) -> None:
    """The rollout role says that another role, with the thief's key, signs firmware too."""
    _delegate_from_rollout(case, "firmware/evil", f"firmware/{MODEL}/*")


def _named_as_releases(case: Case) -> None:
    """The rollout role delegates to a role that bears the name of the releases role."""
    _delegate_from_rollout(case, RELEASES, f"*/{MODEL}/*")


def _delegate_from_rollout(case: Case, name: str, pattern: str) -> None:
    thief, repository = case.thief(), case.repository
    key = CryptoSigner.generate_ed25519()
    manifest, planned = _forged(case)
    evil = Targets(expires=NOW + timedelta(days=7), version=repository.roles[RELEASES].version + 5)
    path = manifest_path(MODEL, "6.6.6")
    evil.targets[path] = TargetFile.from_data(path, manifest, ["sha256"])
    plan = encode_json(Plan(model=MODEL, state=PlanState.RUNNING, release=planned,
                            admitted_ppm=1_000_000, issued_at=NOW))  # fmt: skip
    evil.targets[plan_path(MODEL)] = TargetFile.from_data(plan_path(MODEL), plan, ["sha256"])
    for target, data in ((path, manifest), (plan_path(MODEL), plan)):
        folder, _, file = target.rpartition("/")
        repository.files[f"targets/{folder}/{hashlib.sha256(data).hexdigest()}.{file}"] = data
    rollout = repository.roles[ROLLOUT]
    if name == RELEASES:
        rollout.targets.clear()
    else:
        repository.add_target(ROLLOUT, plan_path(MODEL), plan)
    rollout.delegations = Delegations(
        {key.public_key.keyid: key.public_key},
        {name: DelegatedRole(name, [key.public_key.keyid], 1, True, paths=[pattern])},
    )
    case.repository.plan = None
    repository.publish()
    repository.keys["evil"] = key
    data = repository.sign(evil, "evil")
    repository.files[f"metadata/{evil.version}.{name}.json"] = data
    repository.snapshot.meta[f"{name}.json"] = MetaFile.from_data(evil.version, data, ["sha256"])
    thief.resign()


def _undelegate(case: Case) -> None:
    case.repository.roles[ROLLOUT].delegations = None
    case.repository.snapshot.meta.pop("firmware/evil.json", None)
    # The thief's snapshot named a higher version of the releases role; a snapshot that goes back
    # is refused by TUF (5.5.5), so the vendor replaces the keys that the thief had.
    case.repository.signing.clear()
    rotate(case.repository, ROLLOUT, "snapshot", "timestamp")
    case.end()
    case.offer()


def _impostor(case: Case) -> None:
    """Another repository, whole and well made, of another root."""
    other = RepositorySimulator()
    other.offer(other.add_release(case.work, "6.6.6"))
    case.replay(other.files)


def _mixed(case: Case) -> None:
    newest = case.repository.roles[ROLLOUT].version
    files = case.repository.files
    files[f"metadata/{newest}.{ROLLOUT}.json"] = files[f"metadata/{newest - 1}.{ROLLOUT}.json"]


def _mixed_snapshot(case: Case) -> None:
    newest, files = case.repository.snapshot.version, case.repository.files
    files[f"metadata/{newest}.snapshot.json"] = files[f"metadata/{newest - 1}.snapshot.json"]


def _endless_timestamp(case: Case) -> None:
    case.spoil("metadata/timestamp", b" " * (1 << 20))


def _endless_snapshot(case: Case) -> None:
    case.spoil(f"metadata/{case.repository.snapshot.version}.snapshot", b" " * (1 << 20))


def _endless_by_length(case: Case) -> None:
    """A timestamp that says: the snapshot has a terabyte, read it all."""
    thief = case.thief("timestamp")
    thief.point()
    meta = case.repository.timestamp.snapshot_meta
    meta.length = 1 << 40
    case.repository.timestamp.version += 1
    data = case.repository.sign(case.repository.timestamp, "timestamp")
    case.repository.files["metadata/timestamp.json"] = data
    name = f"metadata/{meta.version}.snapshot.json"
    case.repository.files[name] += b" " * (8 << 20)


def _huge_plan(case: Case) -> None:
    case.thief()
    case.repository.plan = None
    case.repository.add_target(ROLLOUT, plan_path(MODEL), b" " * (PLAN_BYTES + 1))
    case.repository.publish()


def _unaskable(case: Case) -> None:
    """A hash whose name would break the request that asks for the file."""
    case.thief()
    case.repository.plan = None
    info = case.repository.roles[ROLLOUT].targets[plan_path(MODEL)]
    info.hashes = {"md5": "a\r\nHost: evil\r\n\r\n", **info.hashes}
    case.repository.publish()


def _unspeakable(case: Case) -> None:
    """Names that no log and no report could hold."""
    case.thief()
    case.repository.plan = None
    info = case.repository.roles[ROLLOUT].targets[plan_path(MODEL)]
    info.hashes = {**info.hashes, "sha9\x1b[31m\n\u202e": "00"}
    case.repository.publish()


def _unknown_field(case: Case) -> None:
    case.thief()
    plan = case.repository.plan
    assert plan is not None
    case.repository.plan = None
    data = encode_json(plan).replace(b'"spec"', b'"also_install": "all",\n "spec"')
    case.repository.add_target(ROLLOUT, plan_path(MODEL), data)
    case.repository.publish()


def _signed(**changes: Any) -> Any:
    def deed(case: Case) -> None:
        case.sign("1.2.0", **changes)
        case.offer()

    return deed


def _other_models_plan(case: Case) -> None:
    case.thief()
    case.offer(model="toaster")


def _for_others(case: Case) -> None:
    case.thief()
    case.name("TH-9999", admitted_ppm=0)


_TOASTER = {"model": "toaster"}
_RAMP = Bounds(not_before=NOW, minimum_duration_seconds=0, largest_step_ppm=1_000_000)

CONTENT: dict[str, tuple[Attack, ...]] = {
    "Arbitrary software": (
        Attack(name="changed-image", title="a bit of the image is changed", has=NETWORK,
               deed=_bit_in_image, reason="tampered-image",
               does="compares each group before a byte of it is used"),
        Attack(name="other-image", title="another signed image in its place", has=NETWORK,
               deed=_other_image, reason="tampered-image"),
        Attack(name="changed-manifest", title="a bit of the manifest is changed", has=NETWORK,
               deed=_bit_in_manifest, reason="bad-signature"),
        Attack(name="unsigned-release", title="a plan for firmware that nobody signed", has=SERVER,
               deed=_unsigned, reason="unsigned-release",
               does="takes the manifest's hash from `releases/<model>` only"),
        Attack(name="signed-by-online-keys", title="`releases/<model>` signed by online keys",
               has=SERVER, deed=_signed_by_online_keys, reason="bad-signature"),
        Attack(name="delegated-by-rollout", title="`rollout/<model>` passes firmware on to a key",
               has=SERVER, deed=_delegated_by_rollout, reason="unsigned-release", after=_undelegate,
               does="lets no delegation of `rollout/<model>` reach firmware"),
        Attack(name="named-as-releases", title="a delegation named like `releases/<model>`",
               has=SERVER, deed=_named_as_releases, reason="bad-signature", after=_undelegate),
        Attack(name="impostor", title="a whole repository of another root",
               has="the network, and a certificate for the server's name",
               deed=_impostor, reason="bad-signature",
               does="trusts the root in its own firmware, and no other"),
    ),
    "Mix and match": (
        Attack(name="mixed-plan", title="an older plan among newer files", has=NETWORK,
               deed=_mixed, reason="bad-signature"),
        Attack(name="mixed-snapshot", title="an older snapshot under a newer timestamp",
               has=NETWORK, deed=_mixed_snapshot, reason="bad-signature"),
    ),
    "Endless data": (
        Attack(name="endless-timestamp", title="a timestamp without end", has=NETWORK,
               deed=_endless_timestamp, reason="too-large",
               does="stops reading at 16 KiB"),
        Attack(name="endless-snapshot", title="a snapshot without end", has=NETWORK,
               deed=_endless_snapshot, reason="too-large",
               does="stops at the signed length"),
        Attack(name="endless-by-signed-length", title="a signed length of a terabyte",
               has="the timestamp key, and the server", deed=_endless_by_length,
               reason="too-large", does="has a bound of its own for each file, whatever is signed"),
        Attack(name="huge-plan", title="a plan of 64 KiB and one byte", has=SERVER,
               deed=_huge_plan, reason="too-large"),
    ),
    "More than was asked for": (
        Attack(name="unknown-field", title="a plan that asks for something more", has=SERVER,
               deed=_unknown_field, reason="malformed",
               does="reads no document that has a field it does not know"),
        Attack(name="request-in-a-hash", title="a hash that is a second HTTP request", has=SERVER,
               deed=_unaskable, reason="malformed", does="asks for plain paths only"),
        Attack(name="names-that-break-logs", title="names with escapes and half characters",
               has=SERVER, deed=_unspeakable, reason="bad-signature",
               does="writes printable ASCII into log and report"),
        Attack(name="other-tree", title="a signed tree that the image does not hold", has=SIGNER,
               deed=lambda case: _other_tree(case), reason="tampered-tree",
               does="compares the whole tree before the slot is touched"),
    ),
    "Wrong recipient": (
        Attack(name="other-model", title="a signed release of another model", has=SIGNER,
               deed=_signed(**_TOASTER), reason="wrong-model"),
        Attack(name="other-hardware", title="a signed release for other hardware", has=SERVER,
               deed=_signed(hardware_revisions=("B7",)), reason="wrong-hardware"),
        Attack(name="too-old-to-follow", title="a release that needs another one first",
               has=SERVER, deed=_signed(minimum_version="1.0.5"), reason="minimum-version"),
        Attack(name="other-models-plan", title="a plan for another model", has=SERVER,
               deed=_other_models_plan, reason="wrong-model"),
        Attack(name="for-another-device", title="a release that others are to have", has=SERVER,
               deed=_for_others, outcome=Outcome.HELD, reason="phase-in"),
    ),
}  # fmt: skip


def _other_tree(case: Case) -> None:
    image = make_manifest(case.repository, case.work, "1.2.0").image
    case.sign("1.2.0", image=replace(image, tree_sha256="ab" * 32))
    case.offer()
