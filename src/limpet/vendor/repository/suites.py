"""Taking a newer suite, with the drawer open: first into firmware, later for the service.

Owns the making of the keys that a suite asks for, and the metadata that names them. What
old devices accept stays valid throughout: old keys sign beside the new ones, and the new
root is written last (docs/cryptography.md). The running service never imports it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tuf.api.metadata import Key, Role, Root, Targets

from limpet.crypto.chains import load_certificates
from limpet.crypto.keys import generate_signing_key, key_to_pem
from limpet.crypto.policy import verify_certificate_algorithms
from limpet.crypto.suites import SUITE_BYTES, SUITE_FILE, Suite, TlsUse, load_suite
from limpet.crypto.tls import server_context
from limpet.errors import Rejected
from limpet.storage import read_bounded, write_atomic
from limpet.vendor.home import Home, key_file

from ._lifetimes import RELEASES, ROOT, TARGETS
from ._metadata import load_drawer_signers, releases_role, renewed, sign_metadata
from ._repository import Repository

__all__ = ["take_for_firmware", "take_for_service"]

PEM_BYTES = 64 << 10
PUBLIC_FILE = 0o644


@dataclass(frozen=True, slots=True)
class _Holder:
    """One offline role: who delegates it, and where its keys lie."""

    stem: str
    role: Role
    keys: dict[str, Key]


def take_for_firmware(
    home: Home, file: Path, *, offline: Path, now: datetime, passphrase: bytes | None = None
) -> tuple[Path, ...]:
    """Let the next firmware carry the suite in `file`; the key files that were made for it.

    Makes a key of each family that an offline role has none of, drops keys of schemes that the
    suite does not have, and publishes the next root, targets and releases under all of them. May
    be run again after a cut. Raises `Rejected("rollback")` unless the suite is newer,
    `Rejected("by-hand")` where it takes more than one person or other online keys.
    """
    suite = load_suite(file)
    _verify_newer(suite, home.firmware_suite)
    repository = Repository(home, lambda: now)
    state = repository.state()
    holders = _holders(home, state.root, state.targets)
    made = _make_keys(holders, suite, offline, passphrase)

    if _rename_keys(holders, suite, offline, passphrase):
        root = renewed(state.root, now=now, lifetime=ROOT)
        targets = renewed(state.targets, now=now, lifetime=TARGETS)
        by_stem = {
            holder.stem: load_drawer_signers(offline, holder.stem, passphrase=passphrase)
            for holder in holders
        }
        releases = {
            model: renewed(state.role(releases_role(model)), now=now, lifetime=RELEASES)
            for model in home.settings.models
        }
        repository.publish_offline_keys(
            sign_metadata(root, *by_stem["tuf-root"]),
            sign_metadata(targets, *by_stem["tuf-targets"]),
            {
                model: sign_metadata(role, *by_stem[f"releases-{model}"])
                for model, role in releases.items()
            },
        )
    latest = repository.root_bytes()
    write_atomic(home.trust / "root.json", latest, mode=PUBLIC_FILE)
    _keep(file, home.trust)
    return made


def take_for_service(home: Home, file: Path) -> None:
    """Let the service keep to the suite in `file` from its next start on.

    Firmware goes first: a suite that firmware does not carry yet is refused, as is one that the
    service's own certificate does not meet. Raises `Rejected`, `Unavailable`.
    """
    suite = load_suite(file)
    _verify_newer(suite, home.service_suite)
    if suite.version > home.firmware_suite.version:
        raise Rejected(
            "too-early",
            f"the next firmware carries {home.firmware_suite.id}: devices would be refused",
            hint="take it for firmware first, and for the service once the fleet has it",
        )
    chain = read_bounded(home.online / "service.pem", max_bytes=PEM_BYTES)
    for certificate in load_certificates(chain):
        verify_certificate_algorithms(certificate, suite)
    server_context(chain, home.online / "service.key", suite=suite, use=TlsUse.VENDOR)
    _keep(file, home.online)


def _verify_newer(suite: Suite, current: Suite) -> None:
    if suite.version < current.version or (suite.version == current.version and suite != current):
        raise Rejected(
            "rollback",
            f"{suite.id} is not newer than {current.id}",
            hint="to allow an algorithm again, write a suite with a higher version",
        )


def _keep(file: Path, drawer: Path) -> None:
    data = read_bounded(file, max_bytes=SUITE_BYTES)
    write_atomic(drawer / SUITE_FILE, data, mode=PUBLIC_FILE)


def _holders(home: Home, root: Root, targets: Targets) -> Sequence[_Holder]:
    delegations = targets.delegations
    if delegations is None or delegations.roles is None:
        raise Rejected("bad-repository", "targets delegates nothing")
    return (
        _Holder("tuf-root", root.roles["root"], root.keys),
        _Holder("tuf-targets", root.roles["targets"], root.keys),
        *(
            _Holder(f"releases-{model}", delegations.roles[releases_role(model)], delegations.keys)
            for model in home.settings.models
        ),
    )


def _make_keys(
    holders: Sequence[_Holder], suite: Suite, offline: Path, passphrase: bytes | None
) -> tuple[Path, ...]:
    """A key file of each family that a holder has no key of; one from a cut is used again."""
    made = []
    for holder in holders:
        if any(_lacks(holder, family) for family in suite.firmware.offline):
            _verify_alone(holder)
        for family in suite.firmware.offline:
            file = key_file(offline, holder.stem, family[0])
            if _lacks(holder, family) and not file.exists():
                key = generate_signing_key(family[0])
                write_atomic(file, key_to_pem(key, passphrase=passphrase))
                made.append(file)
    return tuple(made)


def _rename_keys(
    holders: Sequence[_Holder], suite: Suite, offline: Path, passphrase: bytes | None
) -> bool:
    """Let each role name the keys that the suite has; whether anything changed."""
    rules = suite.firmware
    kept = {scheme for family in rules.offline for scheme in family} | set(rules.besides)
    changed = False
    for holder in holders:
        before = list(holder.role.keyids)
        schemes = {holder.keys[keyid].scheme for keyid in before}
        if schemes <= kept and not any(schemes.isdisjoint(family) for family in rules.offline):
            continue  # it names what the suite asks for: by a ceremony, or by the one before a cut
        _verify_alone(holder)
        keys = {
            signer.public_key.keyid: signer.public_key
            for signer in load_drawer_signers(offline, holder.stem, passphrase=passphrase)
            if signer.public_key.scheme in kept
        }
        known = [k for k in before if holder.keys[k].scheme in kept]
        after = [*known, *(k for k in keys if k not in known)]
        if after == before:
            continue
        holder.keys.update(keys)
        holder.role.keyids = after
        holder.role.threshold = len(after)
        changed = True
    return changed


def _lacks(holder: _Holder, family: Sequence[str]) -> bool:
    return {holder.keys[keyid].scheme for keyid in holder.role.keyids}.isdisjoint(family)


def _verify_alone(holder: _Holder) -> None:
    """Only one person's keys can be made and renamed here."""
    schemes = [holder.keys[keyid].scheme for keyid in holder.role.keyids]
    if len(set(schemes)) < len(schemes):
        raise Rejected(
            "by-hand",
            f"several people hold {holder.stem}: each makes a key of their own",
            hint="limpet vendor root propose names their keys; then run this again",
        )
