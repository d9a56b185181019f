"""Other keys for everything that is online, with the drawer open: after a theft of the server.

Owns the making of the keys and of the metadata that names them, and their order. All of it is one
file, `online/rekeying.json`, durable before anything is changed, and is then carried out: after a
cut the same command ends what it began. The running service never imports it.

What devices do (TUF 1.0.33, 5.3.11): the root says that timestamp and snapshot have other keys, and
targets that the plans have; each device forgets the versions that the old keys reached, and
believes them no more. Their certificates come from another operational authority at their next
renewal; until then the service knows by its record which of the old one's it issued.
"""

from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Key, Role

from limpet.crypto.certificates import Issuer, issue_service, load_issuer, make_intermediate
from limpet.crypto.chains import load_certificates
from limpet.crypto.keys import generate_key, generate_signing_key, key_to_pem
from limpet.errors import Rejected, naming
from limpet.storage import read_bounded, remove_durably, write_atomic
from limpet.vendor.home import (
    FORMER_FILE,
    LOCAL_ADDRESSES,
    SERVICE_DAYS,
    Home,
    hold_lock,
    key_file,
)
from limpet.wire.codec import Message, decode_json, encode_json
from limpet.wire.metadata import verify_size

from ._lifetimes import ROLLOUT, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from ._metadata import load_drawer_signers, meta_file, renewed, rollout_role, sign_metadata
from ._roots import verify_roots
from ._shelf import Shelf
from ._state import RepositoryState, load_state

__all__ = ["replace_online_keys"]

PEM_BYTES = 64 << 10
PUBLIC_FILE, SECRET_FILE = 0o644, 0o600
_ORDER = "rekeying.json"
_ORDER_BYTES = 64 << 20
_TIMESTAMP = "metadata/timestamp.json"
_AUTHORITY = "operational-ca"
_PUBLIC = frozenset({"service.pem", f"{_AUTHORITY}.pem", FORMER_FILE})
_MOST_FORMER = 8
"""Authorities that were replaced and are remembered: whoever replaces more within the life of a
certificate lets the devices of the oldest enroll again."""

_STEM = 58  # of 64 characters that a common name may have (RFC 5280, A.1)

Keys = dict[str, list[CryptoSigner]]


class _Order(Message, frozen=True, kw_only=True):
    """What is carried out: files of the repository in the order of writing, and of online/."""

    published: list[tuple[str, str]]
    root: str
    online: dict[str, str]  # by name; keys and the service's certificate
    expires: datetime


def replace_online_keys(
    home: Home, *, offline: Path, now: datetime, passphrase: bytes | None = None
) -> datetime:
    """Make keys of timestamp, snapshot, all plans, the operational authority and the service's TLS
    anew, and publish what names them.

    What the plans say stays. Returns when the first of root and targets expires. The running
    service shows its new certificate, and issues by the new authority, after its next start.
    Raises `Rejected`, `Unavailable`; then nothing has changed, or the same command ends it.
    """
    file, shelf = home.online / _ORDER, Shelf(home.repository)
    with hold_lock(home.online / "signing.lock"):
        if not file.exists():
            order = _prepare(home, load_state(shelf), offline, now, passphrase)
            write_atomic(file, encode_json(order), mode=SECRET_FILE)
        order = decode_json(
            read_bounded(file, max_bytes=_ORDER_BYTES), _Order, max_bytes=_ORDER_BYTES
        )
        _carry_out(home, shelf, order)
        remove_durably(file)
    return order.expires


def _prepare(
    home: Home, state: RepositoryState, offline: Path, now: datetime, passphrase: bytes | None
) -> _Order:
    roots = load_drawer_signers(offline, "tuf-root", passphrase=passphrase)
    holders = load_drawer_signers(offline, "tuf-targets", passphrase=passphrase)
    online = _service(home, offline, now, passphrase) | _authority(home, offline, now, passphrase)
    signers: Keys = {}
    stems = {"timestamp": "tuf-timestamp", "snapshot": "tuf-snapshot"} | {
        rollout_role(model): f"rollout-{model}" for model in home.settings.models
    }
    for role, stem in stems.items():
        signers[role] = []
        for scheme, *_ in home.firmware_suite.firmware.online:
            key = generate_signing_key(scheme)
            online[key_file(home.online, stem, scheme).name] = key_to_pem(key).decode()
            signers[role].append(CryptoSigner(key))
    root = renewed(state.root, now=now, lifetime=ROOT)
    targets = renewed(state.targets, now=now, lifetime=TARGETS)
    delegations = targets.delegations
    if delegations is None or delegations.roles is None:
        raise Rejected("bad-repository", "targets delegates nothing")
    for role in ("timestamp", "snapshot"):
        _name(root.roles[role], root.keys, signers[role])
    for role in stems.keys() - {"timestamp", "snapshot"}:
        _name(delegations.roles[role], delegations.keys, signers[role])
    _forget(root.keys, [*root.roles.values()])
    _forget(delegations.keys, [*delegations.roles.values()])
    signed_root = sign_metadata(root, *roots)
    roles = {"targets": (targets.version, sign_metadata(targets, *holders))}
    current = load_state(Shelf(home.repository))  # `state` was changed above
    suites = home.suites
    verify_roots(signed_root, roles["targets"][1], current, now=now, suites=suites)
    verify_size("root", signed_root)
    for model in home.settings.models:
        name = rollout_role(model)
        plans = renewed(state.role(name), now=now, lifetime=ROLLOUT)
        roles[name] = (plans.version, sign_metadata(plans, *signers[name]))
    return _Order(
        published=[
            (name, data.decode()) for name, data in _files(state, roles, signers, now).items()
        ],
        root=signed_root.decode(),
        online=online,
        expires=min(root.expires, targets.expires),
    )


def _files(
    state: RepositoryState, roles: dict[str, tuple[int, bytes]], signers: Keys, now: datetime
) -> dict[str, bytes]:
    """By name, in the order of writing: what is named before what names it."""
    files = {f"metadata/{version}.{role}.json": data for role, (version, data) in roles.items()}
    for role, (version, data) in roles.items():
        verify_size(role, data)
        state.snapshot.meta[f"{role}.json"] = meta_file(version, data)
    snapshot = renewed(state.snapshot, now=now, lifetime=SNAPSHOT)
    data = sign_metadata(snapshot, *signers["snapshot"])
    verify_size("snapshot", data)
    files[f"metadata/{snapshot.version}.snapshot.json"] = data
    state.timestamp.snapshot_meta = meta_file(snapshot.version, data)
    timestamp = renewed(state.timestamp, now=now, lifetime=TIMESTAMP)
    files[f"metadata/{state.root.version}.root.json"] = b""  # its place; see `_carry_out`
    return files | {_TIMESTAMP: sign_metadata(timestamp, *signers["timestamp"])}


def _carry_out(home: Home, shelf: Shelf, order: _Order) -> None:
    """The root just before the timestamp: between the two, clients refuse the old one and wait."""
    for name, data in order.published:
        shelf.write(name, (data or order.root).encode())
    for name, text in order.online.items():
        write_atomic(
            home.online / name,
            text.encode(),
            mode=PUBLIC_FILE if name in _PUBLIC else SECRET_FILE,
        )
    for file in home.online.glob("*.pem"):  # a key of a family that the suite has no more
        signs = file.name.startswith(("tuf-", "rollout-"))
        if signs and file.name not in order.online:
            remove_durably(file)
    write_atomic(home.trust / "root.json", order.root.encode(), mode=PUBLIC_FILE)


def _name(role: Role, keys: dict[str, Key], signers: list[CryptoSigner]) -> None:
    """Let `role` be signed by all of `signers`, and by nobody else."""
    keys.update({signer.public_key.keyid: signer.public_key for signer in signers})
    role.keyids = [signer.public_key.keyid for signer in signers]
    role.threshold = len(signers)


def _forget(keys: dict[str, Key], roles: list[Role]) -> None:
    named = {keyid for role in roles for keyid in role.keyids}
    for keyid in keys.keys() - named:
        del keys[keyid]


def _service(home: Home, offline: Path, now: datetime, passphrase: bytes | None) -> dict[str, str]:
    """Another key and certificate of the service."""
    issuer = _root(offline, "service-root", passphrase)
    key = generate_key(home.service_suite)
    chain = issue_service(
        issuer,
        key,
        hostnames=home.settings.hostnames,
        addresses=LOCAL_ADDRESSES,
        now=now,
        days=SERVICE_DAYS,
        suite=home.service_suite,
    )
    return {"service.key": key_to_pem(key).decode(), "service.pem": chain.decode()}


def _authority(
    home: Home, offline: Path, now: datetime, passphrase: bytes | None
) -> dict[str, str]:
    """Another operational authority under the same root, and the certificates of former ones."""
    root = _root(offline, "device-root", passphrase)
    before, former = home.online / f"{_AUTHORITY}.pem", home.online / FORMER_FILE
    with naming(before, hint="restore online/ from a backup"):
        pem = read_bounded(before, max_bytes=PEM_BYTES)
        name = load_certificates(pem)[0].subject
    if former.exists():
        pem += read_bounded(former, max_bytes=PEM_BYTES)
    kept = [
        certificate.public_bytes(Encoding.PEM).decode()
        for certificate in load_certificates(pem)[:_MOST_FORMER]
    ]
    common = str(name.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    made = make_intermediate(root, _next_name(common), now=now, suite=home.service_suite)
    return {
        FORMER_FILE: "".join(kept),
        f"{_AUTHORITY}.key": key_to_pem(made.key).decode(),
        f"{_AUTHORITY}.pem": made.certificate_pem().decode(),
    }


def _next_name(name: str) -> str:
    """As "Example Operational CA 2": certificates name their issuer, so no two are called alike."""
    stem, _, number = name.rpartition(" ")
    if not number.isdigit():
        stem, number = name, "1"
    return f"{stem[:_STEM]} {int(number) + 1}"


def _root(offline: Path, stem: str, passphrase: bytes | None) -> Issuer:
    with naming(offline / f"{stem}.pem and .key", hint="restore them from a backup"):
        return load_issuer(
            read_bounded(offline / f"{stem}.pem", max_bytes=PEM_BYTES),
            read_bounded(offline / f"{stem}.key", max_bytes=PEM_BYTES),
            passphrase=passphrase,
        )
