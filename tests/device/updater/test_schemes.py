"""Validly signed repositories with keys that the suite does not name: python-tuf takes them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from securesystemslib.signer import CryptoSigner
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import MODEL, NOW, RELEASES, ROLLOUT, RepositorySimulator
from tuf.api.metadata import DelegatedRole, Delegations, MetaFile, Targets

from limpet.crypto.suites import CURRENT, FirmwareRules, Suite
from limpet.device.updater.check import Outcome
from limpet.device.updater.floor import Floor
from limpet.device.updater.repository import Offer, Repository
from limpet.errors import Rejected
from limpet.wire.release import manifest_path

SCHEMES = ("ed25519", "ml-dsa-65/1")
WEAK: dict[str, Callable[[], CryptoSigner]] = {
    "rsassa-pss-sha256": CryptoSigner.generate_rsa,
    "ecdsa-sha2-nistp256": CryptoSigner.generate_ecdsa,
}
LAX = replace(CURRENT, firmware=FirmwareRules(offline=(), online=(), besides=(*WEAK, *SCHEMES)))
ML_DSA = (("ml-dsa-65/1",),)
LATER = replace(CURRENT, firmware=FirmwareRules(offline=ML_DSA, online=ML_DSA, besides=()))
TOP = ("root", "targets", "snapshot", "timestamp")


def look(repository: RepositorySimulator, directory: Path, suite: Suite) -> Offer:
    """What a device offers itself that accepts `suite`; its directory stays between two looks."""
    client = Repository(
        repository,
        model=MODEL,
        directory=directory,
        trusted_root=repository.trusted_root,
        suite=suite,
    )
    return client.look(Floor(time=NOW), now=NOW, keep=lambda floor: None)


def replace_key(repository: RepositorySimulator, role: str, signer: CryptoSigner) -> None:
    """Give `role` this key, in the next metadata of who delegates to it, properly signed."""
    if role not in TOP:
        repository.keys[role] = signer
        repository.delegate()
        return
    old = repository.keys[role]
    repository.root.revoke_key(old.public_key.keyid, role)
    repository.root.add_key(signer.public_key, role)
    repository.keys[role] = signer
    repository.root.version += 1
    if role != "root":
        repository.publish_root()
        return
    repository.keys["old root"] = old  # the next root is signed by both (TUF 1.0.33, 5.3.4)
    data = repository.sign(repository.root, "old root", "root")
    repository.files[f"metadata/{repository.root.version}.root.json"] = data


@pytest.mark.parametrize("scheme", WEAK)
@pytest.mark.parametrize("role", [*TOP, RELEASES, ROLLOUT])
def test_a_role_with_a_key_of_another_scheme_is_refused_though_python_tuf_accepts_it(
    bench: Bench, repository: RepositorySimulator, work: Path, role: str, scheme: str
) -> None:
    replace_key(repository, role, WEAK[scheme]())
    repository.offer(repository.add_release(work))
    assert look(repository, work / "lax", LAX).manifest is not None, "validly signed"
    bench.assert_refused(bench.check(), "weak-key")
    assert any(scheme in text for _, text, _ in bench.logged)


def test_a_weak_key_beside_a_good_one_is_refused(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    """Either key alone meets the threshold: its owner signs like the other."""
    weak = CryptoSigner.generate_rsa()
    delegations = repository.targets.delegations
    assert delegations is not None
    assert delegations.roles is not None
    delegations.keys[weak.public_key.keyid] = weak.public_key
    delegations.roles[RELEASES].keyids.append(weak.public_key.keyid)
    repository.offer(repository.add_release(work))
    assert look(repository, work / "lax", LAX).manifest is not None
    bench.assert_refused(bench.check(), "weak-key")


def test_a_weak_root_in_the_middle_of_the_chain_is_refused(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    """Who breaks the RSA key of version 2 signs a version 3 that looks sound."""
    replace_key(repository, "root", CryptoSigner.generate_rsa())
    replace_key(repository, "root", CryptoSigner.generate_ed25519())
    repository.offer(repository.add_release(work))
    assert {key.scheme for key in repository.root.keys.values()} == set(SCHEMES)
    assert look(repository, work / "lax", LAX).manifest is not None
    bench.assert_refused(bench.check(), "weak-key")


def test_a_release_role_cannot_pass_its_right_on_to_a_weak_key(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    weak, name = CryptoSigner.generate_rsa(), "releases/other"
    release = repository.add_release(work)
    path = manifest_path(MODEL, release.version)
    handed_on = Targets(expires=repository.roles[RELEASES].expires)
    handed_on.targets[path] = repository.roles[RELEASES].targets.pop(path)
    repository.keys[name] = weak
    role = DelegatedRole(name, [weak.public_key.keyid], 1, True, paths=[f"firmware/{MODEL}/*"])
    repository.roles[RELEASES].delegations = Delegations(
        {weak.public_key.keyid: weak.public_key}, {name: role}
    )
    data = repository.sign(handed_on, name)
    repository.files[f"metadata/1.{name}.json"] = data
    repository.snapshot.meta[f"{name}.json"] = MetaFile.from_data(1, data, ["sha256"])
    repository.offer(release)
    assert look(repository, work / "lax", LAX).manifest is not None
    bench.assert_refused(bench.check(), "weak-key")


def test_what_older_firmware_accepted_and_kept_is_refused_by_a_later_suite(
    repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    assert look(repository, work / "device", CURRENT).manifest is not None
    with pytest.raises(Rejected) as refused:
        look(repository, work / "device", LATER)
    assert refused.value.reason == "weak-key"
    assert "ed25519" in refused.value.message


def test_replacing_a_key_by_another_of_the_suite_is_no_refusal(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    for role in (*TOP, RELEASES, ROLLOUT):
        replace_key(repository, role, CryptoSigner.generate_ed25519())
    repository.offer(repository.add_release(work))
    assert bench.check().outcome is Outcome.READY
