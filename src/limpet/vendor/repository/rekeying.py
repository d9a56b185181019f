"""Other keys for everything that is online, after a theft of the server.

Owns the making of the keys and of the metadata that names them, and their order. One person with
the whole drawer does it at once (`replace_online_keys`); where several people hold root and
targets, the keys and the unsigned metadata are a draft, `online/rekeying-draft.json`, until they
have signed elsewhere (`draft_online_keys`, `publish_online_keys`). What is carried out is one file,
`online/rekeying.json`, durable before anything is changed: after a cut the same command ends what
it began. The running service never imports it.

What devices do (TUF 1.0.33, 5.3.11): the root says that timestamp and snapshot have other keys, and
targets that the plans have; each device forgets the versions that the old keys reached, and
believes them no more. Their certificates come from another operational authority at their next
renewal; until then the service knows by its record which of the old one's it issued.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Key, Metadata, Role, Root, Targets

from limpet.crypto.keys import generate_signing_key, key_to_pem, signing_key_from_pem
from limpet.errors import Rejected
from limpet.storage import read_bounded, remove_durably, write_atomic
from limpet.vendor.home import FORMER_FILE, Home, hold_lock, key_file
from limpet.wire.codec import Message, decode_json, encode_json
from limpet.wire.metadata import verify_size

from ._authorities import AUTHORITY, authority_files, service_files
from ._lifetimes import ROLLOUT, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from ._metadata import (
    load_drawer_signers,
    meta_file,
    parse_metadata,
    renewed,
    rollout_role,
    sign_metadata,
)
from ._roots import verify_roots
from ._shelf import Shelf
from ._state import RepositoryState, load_state

__all__ = ["draft_online_keys", "publish_online_keys", "replace_online_keys"]

PUBLIC_FILE, SECRET_FILE = 0o644, 0o600
_ORDER, _DRAFT = "rekeying.json", "rekeying-draft.json"
_FILE_BYTES = 64 << 20
_TIMESTAMP = "metadata/timestamp.json"
_PUBLIC = frozenset({"service.pem", f"{AUTHORITY}.pem", FORMER_FILE})

Keys = dict[str, list[CryptoSigner]]
T = TypeVar("T", bound=Message)


class _Draft(Message, frozen=True, kw_only=True):
    """Keys that nobody uses yet, and the next root and targets, which name them."""

    root: str  # metadata without signatures, as is targets
    targets: str
    online: dict[str, str]  # by name; keys and the service's certificate


class _Order(Message, frozen=True, kw_only=True):
    """What is carried out: files of the repository in the order of writing, and of online/."""

    published: list[tuple[str, str]]
    root: str
    online: dict[str, str]
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
    with hold_lock(home.online / "signing.lock"):
        order = _load(home.online / _ORDER, _Order)
        if order is None:
            draft = _make_draft(home, offline, now, passphrase)
            root, targets = (
                _signed(text, load_drawer_signers(offline, stem, passphrase=passphrase))
                for text, stem in ((draft.root, "tuf-root"), (draft.targets, "tuf-targets"))
            )
            order = _give_order(home, root, targets, draft.online, now)
        _carry_out(home, order)
    return order.expires


def draft_online_keys(
    home: Home, *, offline: Path, now: datetime, passphrase: bytes | None = None
) -> tuple[bytes, bytes]:
    """Make the same keys, and return the next root and targets for others to sign.

    `offline` needs the roots of both PKIs alone. Nothing is in use before `publish_online_keys`;
    a draft of before is forgotten, and what was signed for it is worth nothing. Raises `Rejected`,
    `Unavailable`.
    """
    with hold_lock(home.online / "signing.lock"):
        draft = _make_draft(home, offline, now, passphrase)
        write_atomic(home.online / _DRAFT, encode_json(draft), mode=SECRET_FILE)
    return draft.root.encode(), draft.targets.encode()


def publish_online_keys(home: Home, proposed: Mapping[str, bytes], *, now: datetime) -> datetime:
    """Publish the root and targets that people signed for the draft, and take its keys into use.

    Returns and raises as `replace_online_keys` does, and `Rejected("other-request")` where
    something else than the draft was signed.
    """
    with hold_lock(home.online / "signing.lock"):
        begun = _load(home.online / _ORDER, _Order)
        if begun is not None:
            _carry_out(home, begun)
            if begun.root.encode() == proposed.get("root"):
                return begun.expires
        draft = _load(home.online / _DRAFT, _Draft)
        if draft is None or not _is_of(draft, proposed):
            raise Rejected(
                "other-request",
                "the keys that were signed for are not the ones that this server made last",
                hint="sign the request that the last limpet vendor rekey DIR --request made",
            )
        root, targets = proposed["root"], proposed["targets"]
        order = _give_order(home, root, targets, draft.online, now)
        _carry_out(home, order)
    return order.expires


def _load(file: Path, kind: type[T]) -> T | None:
    if not file.exists():
        return None
    data = read_bounded(file, max_bytes=_FILE_BYTES)
    return decode_json(data, kind, max_bytes=_FILE_BYTES)


def _is_of(draft: _Draft, proposed: Mapping[str, bytes]) -> bool:
    if set(proposed) != {"root", "targets"}:
        return False
    root = parse_metadata(proposed["root"], Root, what="the next root")
    targets = parse_metadata(proposed["targets"], Targets, what="the next targets")
    return (root.signed_bytes, targets.signed_bytes) == tuple(
        Metadata.from_bytes(text.encode()).signed_bytes for text in (draft.root, draft.targets)
    )


def _signed(text: str, signers: Sequence[CryptoSigner]) -> bytes:
    metadata: Metadata[Root] | Metadata[Targets] = Metadata.from_bytes(text.encode())
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def _stems(home: Home) -> dict[str, str]:
    """How the files of each online role's keys begin."""
    plans = {rollout_role(model): f"rollout-{model}" for model in home.settings.models}
    return {"timestamp": "tuf-timestamp", "snapshot": "tuf-snapshot"} | plans


def _make_draft(home: Home, offline: Path, now: datetime, passphrase: bytes | None) -> _Draft:
    online = service_files(home, offline, now, passphrase)
    online |= authority_files(home, offline, now, passphrase)
    state = load_state(Shelf(home.repository))
    root = renewed(state.root, now=now, lifetime=ROOT)
    targets = renewed(state.targets, now=now, lifetime=TARGETS)
    delegations = targets.delegations
    if delegations is None or delegations.roles is None:
        raise Rejected("bad-repository", "targets delegates nothing")
    for name, stem in _stems(home).items():
        made = {
            key_file(home.online, stem, scheme).name: generate_signing_key(scheme)
            for scheme, *_ in home.firmware_suite.firmware.online
        }
        online |= {file: key_to_pem(key).decode() for file, key in made.items()}
        holder, keys = (
            (root.roles[name], root.keys)
            if name in root.roles
            else (delegations.roles[name], delegations.keys)
        )
        _name(holder, keys, [CryptoSigner(key) for key in made.values()])
    _forget(root.keys, [*root.roles.values()])
    _forget(delegations.keys, [*delegations.roles.values()])
    return _Draft(
        root=sign_metadata(root).decode(), targets=sign_metadata(targets).decode(), online=online
    )


def _give_order(
    home: Home, root: bytes, targets: bytes, online: dict[str, str], now: datetime
) -> _Order:
    """What follows from a signed root and targets; durable, and begun by nothing yet."""
    state = load_state(Shelf(home.repository))
    verify_roots(root, targets, state, now=now, suites=home.suites)
    verify_size("root", root)
    state = replace(
        state,
        root=parse_metadata(root, Root, what="the next root").signed,
        targets=parse_metadata(targets, Targets, what="the next targets").signed,
    )
    signers = _open_keys(home, online)
    roles = {"targets": (state.targets.version, targets)}
    for model in home.settings.models:
        name = rollout_role(model)
        plans = renewed(state.role(name), now=now, lifetime=ROLLOUT)
        roles[name] = (plans.version, sign_metadata(plans, *signers[name]))
    files = _files(state, roles, signers, now)
    order = _Order(
        published=[(name, data.decode()) for name, data in files.items()],
        root=root.decode(),
        online=online,
        expires=min(state.root.expires, state.targets.expires),
    )
    write_atomic(home.online / _ORDER, encode_json(order), mode=SECRET_FILE)
    return order


def _open_keys(home: Home, online: Mapping[str, str]) -> Keys:
    schemes = [scheme for scheme, *_ in home.firmware_suite.firmware.online]
    signers: Keys = {}
    for role, stem in _stems(home).items():
        pems = [online[key_file(home.online, stem, scheme).name] for scheme in schemes]
        signers[role] = [
            CryptoSigner(signing_key_from_pem(pem.encode(), passphrase=None, suite=None))
            for pem in pems
        ]
    return signers


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


def _carry_out(home: Home, order: _Order) -> None:
    """The root just before the timestamp: between the two, clients refuse the old one and wait."""
    shelf = Shelf(home.repository)
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
    if (home.online / _DRAFT).exists():
        remove_durably(home.online / _DRAFT)
    remove_durably(home.online / _ORDER)


def _name(role: Role, keys: dict[str, Key], signers: list[CryptoSigner]) -> None:
    """Let `role` be signed by all of `signers`, and by nobody else."""
    keys.update({signer.public_key.keyid: signer.public_key for signer in signers})
    role.keyids = [signer.public_key.keyid for signer in signers]
    role.threshold = len(signers)


def _forget(keys: dict[str, Key], roles: list[Role]) -> None:
    named = {keyid for role in roles for keyid in role.keyids}
    for keyid in keys.keys() - named:
        del keys[keyid]
