"""Firmware that one family of signatures is missing of: a plain TUF threshold lets it pass.

Each attack is first shown to the first suite, which asks for Ed25519 alone, or to one that asks
for either: there it passes, so what refuses it afterwards is the count by family.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from securesystemslib.signer import CryptoSigner, SSlibKey
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import MODEL, NOW, OFFLINE, RELEASES, RepositorySimulator
from tuf.api.metadata import MetaFile

from limpet.crypto.keys import generate_signing_key
from limpet.crypto.suites import CURRENT, FirmwareRules, Suite, first_suite, load_suite
from limpet.device.updater.check import Outcome
from limpet.device.updater.floor import Floor
from limpet.device.updater.repository import Offer, Repository
from limpet.errors import Rejected
from limpet.firmware.signatures import families_of

FIRST = load_suite(first_suite())
EITHER = replace(
    CURRENT,
    firmware=FirmwareRules(
        offline=(("ed25519", "ml-dsa-65/1"),), online=(("ed25519",),), besides=()
    ),
)
"""A suite that takes a signature of either kind: what TUF's threshold alone amounts to."""
HALVES: dict[str, Callable[[CryptoSigner], bool]] = {
    "ed25519": lambda signer: signer.public_key.scheme == "ed25519",
    "ml-dsa-65": lambda signer: signer.public_key.scheme == "ml-dsa-65/1",
}


def look(repository: RepositorySimulator, directory: Path, suite: Suite) -> Offer:
    client = Repository(
        repository,
        model=MODEL,
        directory=directory,
        trusted_root=repository.trusted_root,
        suite=suite,
    )
    return client.look(Floor(time=NOW), now=NOW, keep=lambda floor: None)


def set_role(
    repository: RepositorySimulator, role: str, keys: list[CryptoSigner], threshold: int
) -> None:
    """Give `role` these keys, in metadata that everybody who must has signed."""
    public = {signer.public_key.keyid: signer.public_key for signer in keys}
    if role == RELEASES:
        delegations = repository.targets.delegations
        assert delegations is not None
        assert delegations.roles is not None
        delegations.keys |= public
        delegations.roles[role].keyids = list(public)
        delegations.roles[role].threshold = threshold
        return
    repository.root.keys |= public
    repository.root.roles[role].keyids = list(public)
    repository.root.roles[role].threshold = threshold
    repository.root.version = 1
    repository.publish_root()
    repository.trusted_root = repository.files["metadata/1.root.json"]


def sign_next_root(repository: RepositorySimulator) -> None:
    repository.root.version += 1
    repository.publish_root()


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("role", OFFLINE)
def test_metadata_that_only_one_family_signed_is_refused(
    bench: Bench, repository: RepositorySimulator, work: Path, role: str, half: str
) -> None:
    """A threshold of one over a key of each kind: for TUF either signature is enough."""
    keys = repository.signers(role)
    set_role(repository, role, keys, threshold=1)
    repository.signing[role] = [signer for signer in keys if HALVES[half](signer)]
    if role == "root":
        sign_next_root(repository)
    repository.offer(repository.add_release(work))
    assert look(repository, work / "either", EITHER).manifest is not None, "TUF takes it"
    bench.assert_refused(bench.check(), "bad-signature")
    [missing] = HALVES.keys() - {half}
    assert any(missing in text for _, text, _ in bench.logged)


@pytest.mark.parametrize("role", OFFLINE)
def test_two_signatures_of_one_family_do_not_stand_for_two_families(
    bench: Bench, repository: RepositorySimulator, work: Path, role: str
) -> None:
    """Two of {Ed25519, Ed25519, ML-DSA-65}: who breaks Ed25519 has them."""
    other = CryptoSigner.generate_ed25519()
    first, _ = keys = repository.signers(role)
    set_role(repository, role, [*keys, other], threshold=2)
    repository.signing[role] = [first, other]
    if role == "root":
        sign_next_root(repository)
    repository.offer(repository.add_release(work))
    assert look(repository, work / "either", EITHER).manifest is not None, "TUF takes it"
    bench.assert_refused(bench.check(), "bad-signature")


@pytest.mark.parametrize("half", HALVES)
def test_a_forged_half_is_no_half(
    bench: Bench, repository: RepositorySimulator, work: Path, half: str
) -> None:
    """The right key's name beside a signature over something else."""
    keys = repository.signers(RELEASES)
    set_role(repository, RELEASES, keys, threshold=1)
    repository.offer(repository.add_release(work))
    name = f"metadata/{repository.roles[RELEASES].version}.{RELEASES}.json"
    metadata = json.loads(repository.files[name])
    [forged] = [signer for signer in keys if HALVES[half](signer)]
    for signature in metadata["signatures"]:
        if signature["keyid"] == forged.public_key.keyid:
            signature["sig"] = forged.sign(b"another file").signature
    repository.files[name] = json.dumps(metadata).encode()
    entry = repository.snapshot.meta[f"{RELEASES}.json"]
    entry.length, entry.hashes = None, None
    repository.snapshot.version += 1
    resign_snapshot(repository)
    assert look(repository, work / "either", EITHER).manifest is not None, "TUF takes it"
    bench.assert_refused(bench.check(), "bad-signature")


def resign_snapshot(repository: RepositorySimulator) -> None:
    version = repository.snapshot.version
    data = repository.sign(repository.snapshot, "snapshot")
    repository.files[f"metadata/{version}.snapshot.json"] = data
    repository.timestamp.version += 1
    repository.timestamp.snapshot_meta = MetaFile.from_data(version, data, ["sha256"])
    repository.files["metadata/timestamp.json"] = repository.sign(repository.timestamp, "timestamp")


class People:
    """Three people with a key of each kind, of whom two must sign: four signatures."""

    def __init__(self) -> None:
        self.classical = [CryptoSigner.generate_ed25519() for _ in range(3)]
        self.hybrid = [CryptoSigner.generate_mldsa() for _ in range(3)]

    @property
    def keys(self) -> list[CryptoSigner]:
        return [*self.classical, *self.hybrid]


@pytest.mark.parametrize("role", OFFLINE)
def test_two_of_three_people_sign_with_both_of_their_keys(
    bench: Bench, repository: RepositorySimulator, work: Path, role: str
) -> None:
    people = People()
    repository.signing[role] = [*people.classical[:2], *people.hybrid[1:]]
    set_role(repository, role, people.keys, threshold=4)
    if role == "root":
        sign_next_root(repository)
    repository.offer(repository.add_release(work))
    assert bench.check().outcome is Outcome.READY


@pytest.mark.parametrize("role", OFFLINE)
def test_three_broken_keys_and_one_person_are_not_two_people(
    bench: Bench, repository: RepositorySimulator, work: Path, role: str
) -> None:
    """Who breaks Ed25519 has three signatures of the four, and needs one person's help."""
    people = People()
    repository.signing[role] = people.keys
    set_role(repository, role, people.keys, threshold=4)
    repository.signing[role] = [*people.classical, people.hybrid[0]]
    if role == "root":
        sign_next_root(repository)
    repository.offer(repository.add_release(work))
    assert look(repository, work / "either", EITHER).manifest is not None, "TUF takes it"
    bench.assert_refused(bench.check(), "bad-signature")


def test_the_next_root_needs_both_families_of_the_root_before(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    """Both of its own keys signed it, and of the keys before only Ed25519: the one that broke."""
    old = repository.signers("root")
    set_role(repository, "root", old, threshold=1)
    new = [CryptoSigner.generate_ed25519(), CryptoSigner.generate_mldsa()]
    for signer in old:
        repository.root.revoke_key(signer.public_key.keyid, "root")
    for signer in new:
        repository.root.add_key(signer.public_key, "root")
    repository.signing["root"] = [old[0], *new]
    sign_next_root(repository)
    repository.offer(repository.add_release(work))
    assert look(repository, work / "either", EITHER).manifest is not None, "TUF takes it"
    bench.assert_refused(bench.check(), "bad-signature")


def test_a_key_under_two_names_counts_once(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    """Of two people's four signatures one key gives two, by a second key id."""
    people = People()
    private = generate_signing_key("ml-dsa-65/1")
    twin, double = (
        CryptoSigner(private, SSlibKey.from_crypto(private.public_key(), name, "ml-dsa-65/1"))
        for name in ("one", "another")
    )
    keys = [*people.classical, twin, double]
    set_role(repository, RELEASES, keys, threshold=4)
    repository.signing[RELEASES] = [*people.classical[:2], twin, double]
    repository.offer(repository.add_release(work))
    assert look(repository, work / "first", FIRST).manifest is not None, "TUF takes it"
    bench.assert_refused(bench.check(), "bad-signature")


def test_the_first_suite_takes_a_release_that_ml_dsa_has_not_signed(
    repository: RepositorySimulator, work: Path
) -> None:
    """Devices of a vendor from before: what they ask for is what their suite says."""
    keys = repository.signers(RELEASES)
    set_role(repository, RELEASES, keys, threshold=1)
    repository.signing[RELEASES] = keys[:1]
    repository.offer(repository.add_release(work))
    assert look(repository, work / "first", FIRST).manifest is not None
    with pytest.raises(Rejected) as refused:
        look(repository, work / "now", CURRENT)
    assert refused.value.reason == "bad-signature"


def test_roles_and_paths_that_nobody_foresaw_get_the_stricter_rule() -> None:
    rules = CURRENT.firmware
    for name in ("root", "targets", RELEASES, "firmware/thermostat/1.0.0.json", "other", ""):
        assert families_of(name, CURRENT) == rules.offline, name
    for name in ("timestamp", "snapshot", f"rollout/{MODEL}"):
        assert families_of(name, CURRENT) == rules.online, name
