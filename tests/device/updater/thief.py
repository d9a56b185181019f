"""What thieves of keys do to a simulated repository, each deed in one call.

A thief signs what it likes for every role: with the true keys where it holds them, with keys of
its own where it does not. Whoever controls the server, or the network before it, needs no key to
hold files back or to serve old ones.
"""

import copy
from collections.abc import Iterable
from datetime import timedelta

from securesystemslib.signer import CryptoSigner
from tests.device.updater.simulator import OFFLINE, RELEASES, ROLLOUT, RepositorySimulator
from tuf.api.metadata import MetaFile

__all__ = ["DELEGATED", "HALVES", "ONLINE", "ROLES", "Thief", "recorded", "rotate"]

ROLES = ("root", "targets", RELEASES, ROLLOUT, "snapshot", "timestamp")
ONLINE = (ROLLOUT, "snapshot", "timestamp")
DELEGATED = (RELEASES, ROLLOUT)
HALVES = tuple(f"{role} {family}" for role in OFFLINE for family in ("Ed25519", "ML-DSA-65"))
"""One key of a role that two families sign for."""


class Thief:
    """Holds the keys of `stolen`, which are roles or halves of roles.

    The metadata of other roles stays as it was signed, unless the thief is `bold`.
    """

    def __init__(
        self, repository: RepositorySimulator, stolen: Iterable[str] = ONLINE, *, bold: bool = False
    ) -> None:
        self.repository, self.stolen = repository, frozenset(stolen)
        repository.publishing = None if bold else self.stolen
        own = {name: CryptoSigner.generate_ed25519() for name in ROLES}
        for name in ROLES:
            true = repository.signers(name)
            held = [
                signer
                for signer, family in zip(true, ("Ed25519", "ML-DSA-65"), strict=False)
                if name in self.stolen or f"{name} {family}" in self.stolen
            ]
            repository.signing[name] = [*held, *([own[name]] if held != true else [])]

    def let_go(self) -> None:
        """The vendor signs again; what was published stays."""
        self.repository.signing.clear()
        self.repository.publishing = None

    def take_over(self) -> None:
        """Name keys of its own for every role that it can give away."""
        if "root" in self.stolen:
            rotate(self.repository, *ROLES)
            self.stolen = frozenset(ROLES)
        elif "targets" in self.stolen:
            rotate(self.repository, *DELEGATED)
            self.stolen |= frozenset(DELEGATED)

    def renew(self, *, days: int) -> None:
        """Serve today's state `days` later, as fresh as the stolen keys allow; no other change."""
        repository, end = self.repository, self.repository.now + timedelta(days=days + 1)
        if "root" in self.stolen:
            repository.root.expires = end
            repository.root.version += 1
            repository.publish_root()
        for name, role in (("targets", repository.targets), *repository.roles.items()):
            if name in self.stolen:
                role.expires = end
                repository._put(name, role)
        if "snapshot" in self.stolen:
            repository.snapshot.expires = end
            repository._put("snapshot", repository.snapshot)
        if "timestamp" in self.stolen:
            repository.timestamp.expires = end
            self.point()

    def point(self) -> None:
        """A new timestamp that names the newest snapshot there is."""
        repository, version = self.repository, self.repository.snapshot.version
        data = repository.files[f"metadata/{version}.snapshot.json"]
        repository.timestamp.snapshot_meta = MetaFile.from_data(version, data, ["sha256"])
        repository.timestamp.version += 1
        repository.files["metadata/timestamp.json"] = repository.sign(
            repository.timestamp, "timestamp"
        )

    def resign(self) -> None:
        """Snapshot and timestamp again, after a change of what they name."""
        repository = self.repository
        repository.snapshot.version += 1
        data = repository.sign(repository.snapshot, "snapshot")
        repository.files[f"metadata/{repository.snapshot.version}.snapshot.json"] = data
        self.point()

    def name_older(self, role: str, version: int) -> None:
        """A newer snapshot that names an older, validly signed file of `role`."""
        repository = self.repository
        data = repository.files[f"metadata/{version}.{role}.json"]
        repository.snapshot.meta[f"{role}.json"] = MetaFile.from_data(version, data, ["sha256"])
        self.resign()


def rotate(repository: RepositorySimulator, *roles: str) -> None:
    """New keys for `roles`, of each family, named by whoever names them and published.

    As a vendor does after a theft; with the root's keys, or those of targets, a thief too.
    """
    root, old_root = repository.root, repository.signing.pop("root", repository.signers("root"))
    for name in roles:
        repository.signing.pop(name, None)
        if name not in DELEGATED:
            for signer in repository.signers(name):
                root.revoke_key(signer.public_key.keyid, name)
        repository.keys[name] = CryptoSigner.generate_ed25519()
        if name in repository.seconds:
            repository.seconds[name] = CryptoSigner.generate_mldsa()
        if name not in DELEGATED:
            for signer in repository.signers(name):
                root.add_key(signer.public_key, name)
    if set(roles) & set(DELEGATED):
        repository.delegate()
    if set(roles) - set(DELEGATED):
        root.version += 1
        signers = {s.public_key.keyid: s for s in (*old_root, *repository.signers("root"))}
        repository.signing["root"] = list(signers.values())
        repository.publish_root()
        del repository.signing["root"]


def recorded(repository: RepositorySimulator) -> dict[str, bytes]:
    """All files as they are now, for a replay."""
    return copy.copy(repository.files)
