"""Other keys for everything that is online, with the drawer open: after a theft of the server.

Owns the making of the keys and of the metadata that names them, and their order. All of it is one
file, `online/rekeying.json`, durable before anything is changed, and is then carried out: after a
cut the same command ends what it began. The running service never imports it.

What devices do (TUF 1.0.33, 5.3.11): the root says that timestamp and snapshot have other keys, and
targets that the plans have; each device forgets the versions that the old keys reached, and
believes them no more.
"""

from datetime import datetime
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Key, Role

from limpet.crypto.certificates import issue_service, load_issuer
from limpet.crypto.keys import generate_key, generate_signing_key, key_to_pem
from limpet.errors import Rejected, naming
from limpet.storage import read_bounded, remove_durably, write_atomic
from limpet.vendor.home import LOCAL_ADDRESSES, SERVICE_DAYS, Home, hold_lock, key_file
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
    """Make keys of timestamp, snapshot, all plans and the service's TLS anew, and publish them.

    What the plans say stays. Returns when the first of root and targets expires. The running
    service shows its new certificate after its next start. Raises `Rejected`, `Unavailable`; then
    nothing has changed, or the same command ends it.
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
    online = _service(home, offline, now, passphrase)
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
            mode=PUBLIC_FILE if name == "service.pem" else SECRET_FILE,
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
    with naming(offline / "service-root.pem and .key", hint="restore them from a backup"):
        issuer = load_issuer(
            read_bounded(offline / "service-root.pem", max_bytes=PEM_BYTES),
            read_bounded(offline / "service-root.key", max_bytes=PEM_BYTES),
            passphrase=passphrase,
        )
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
