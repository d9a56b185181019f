"""Another model in the same vendor: by one person with the drawer, or by people who sign elsewhere.

Owns the making of its keys and the metadata that names them. May be run again after a cut at any
point: keys that are there are used, and what is published is not published again. The running
service never imports it; it knows the model after its next start.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Key, Targets

from limpet.crypto.keys import generate_signing_key, key_to_pem
from limpet.errors import Rejected
from limpet.product import MAX_PRODUCT_BYTES, PRODUCT_FILE, Product, load_product
from limpet.storage import read_bounded, write_atomic
from limpet.vendor.home import SETTINGS_FILE, Home, Settings, hold_lock, key_file, open_home
from limpet.wire.codec import encode_json

from ._lifetimes import RELEASES, TARGETS
from ._metadata import load_drawer_signers, releases_role, renewed, sign_metadata
from ._models import OfferedModel
from ._repository import Repository
from ._state import RepositoryState
from .founding import delegate, first_plan, first_rollout, keys_of

__all__ = ["add_model", "add_signed_model", "draft_model"]

PUBLIC_FILE = 0o644


def add_model(
    home: Home, product: Path, *, offline: Path, now: datetime, passphrase: bytes | None = None
) -> Home:
    """Let `home` know the model of `product` (a product's directory, or its product.toml).

    `offline` is the drawer. Returns the vendor with the model in view. Raises `Rejected`
    (wrong-maker, known-model, and as `load_product`) and `Unavailable`.
    """

    def sign(model: str, state: RepositoryState) -> tuple[bytes, bytes]:
        _make_releases_keys(home, model, offline, passphrase)
        releases = load_drawer_signers(offline, f"releases-{model}", passphrase=passphrase)
        signers = load_drawer_signers(offline, "tuf-targets", passphrase=passphrase)
        targets, first = _next_targets(home, model, state, keys_of(releases), now)
        return sign_metadata(targets, *signers), sign_metadata(first, *releases)

    return _join_home(home, product, sign, now)


def draft_model(
    home: Home,
    product: Path,
    holders: Sequence[Key] = (),
    *,
    threshold: int | None = None,
    now: datetime,
) -> dict[str, bytes]:
    """The next targets and the first releases of another model, for others to sign, by role.

    `holders` may sign its releases, a `threshold` of them (all, if it is not said); without any,
    those of the model in view. Makes the online keys of its plans; nobody uses them before
    `add_signed_model`. Raises as `add_model` does.
    """
    with hold_lock(home.online / "models.lock"):
        _, design, _ = _load_new(home, product)
        model, state = design.model.name, Repository(home, lambda: now).state()
        if not holders:
            role = state.targets.get_delegated_role(releases_role(home.model))
            holders = [state.targets.get_key(keyid) for keyid in role.keyids]
            threshold = threshold or role.threshold
        targets, first = _next_targets(home, model, state, holders, now, threshold=threshold)
    return {"targets": sign_metadata(targets), releases_role(model): sign_metadata(first)}


def add_signed_model(
    home: Home, product: Path, proposed: Mapping[str, bytes], *, now: datetime
) -> Home:
    """Let `home` know the model of `product` by what people have signed for it.

    Returns and raises as `add_model` does, and `Rejected("other-request")` if that is another's.
    """

    def take(model: str, state: RepositoryState) -> tuple[bytes, bytes]:
        if set(proposed) != {"targets", releases_role(model)}:
            raise Rejected(
                "other-request",
                f"what was signed is not for {model}",
                hint="name the product that the request was made for",
            )
        return proposed["targets"], proposed[releases_role(model)]

    return _join_home(home, product, take, now)


def _join_home(
    home: Home,
    product: Path,
    signed: Callable[[str, RepositoryState], tuple[bytes, bytes]],
    now: datetime,
) -> Home:
    """`signed` gives the next targets and the model's first releases; it is asked only if they are
    not published yet."""
    with hold_lock(home.online / "models.lock"):
        settings, design, data = _load_new(home, product)
        model, repository = design.model.name, Repository(home, lambda: now)
        state = repository.state()
        if releases_role(model) not in state.delegated:  # else by a command that was cut off
            targets, releases = signed(model, state)
            now = now.replace(microsecond=0)
            repository.add_model(
                OfferedModel(
                    model=model,
                    targets=targets,
                    releases=releases,
                    rollout=first_rollout(model, _rollout_signers(home, model), now),
                    plan=first_plan(model, now)[1],
                )
            )
        joined = msgspec.structs.replace(settings, others=(*settings.others, model))
        added = Home(root=home.root, settings=joined, view=model)
        for copy in (added.product_file, added.factory_product_file):
            write_atomic(copy, data, mode=PUBLIC_FILE)
        # Last: until then nothing asks for the model, and the same command begins anew.
        write_atomic(home.online / SETTINGS_FILE, encode_json(joined), mode=PUBLIC_FILE)
    return added


def _load_new(home: Home, product: Path) -> tuple[Settings, Product, bytes]:
    """The settings as they are now that nobody else changes them, and a design that is new here."""
    file = product / PRODUCT_FILE if product.is_dir() else product
    design, settings = load_product(file), open_home(home.root).settings
    if design.maker.name != settings.maker:
        raise Rejected(
            "wrong-maker",
            f"the design file's maker is {design.maker.name}, the vendor's {settings.maker}",
            hint="correct [maker] name in product.toml, or make a vendor of its own with"
            " limpet vendor init",
        )
    if design.model.name in settings.models:
        raise Rejected(
            "known-model",
            f"this vendor has {design.model.name}",
            hint="limpet vendor model list shows them all",
        )
    return settings, design, read_bounded(file, max_bytes=MAX_PRODUCT_BYTES)


def _next_targets(
    home: Home,
    model: str,
    state: RepositoryState,
    holders: Sequence[Key],
    now: datetime,
    *,
    threshold: int | None = None,
) -> tuple[Targets, Targets]:
    """The targets that delegates to the model, which changes `state`, and its first releases."""
    now = now.replace(microsecond=0)
    targets = renewed(state.targets, now=now, lifetime=TARGETS)
    delegations = targets.delegations
    if delegations is None or delegations.roles is None:
        raise Rejected("bad-repository", "targets delegates nothing")
    plans = keys_of(_rollout_signers(home, model))
    keys, roles = delegate(model, holders, plans, threshold=threshold)
    delegations.keys |= keys
    delegations.roles |= roles
    return targets, Targets(expires=now + RELEASES)


def _rollout_signers(home: Home, model: str) -> list[CryptoSigner]:
    """Those of the plans; the keys that a cut left, which nobody has used, are kept."""
    for scheme, *_ in home.firmware_suite.firmware.online:
        file = key_file(home.online, f"rollout-{model}", scheme)
        if not file.exists():
            write_atomic(file, key_to_pem(generate_signing_key(scheme)))
    return load_drawer_signers(home.online, f"rollout-{model}")


def _make_releases_keys(home: Home, model: str, offline: Path, passphrase: bytes | None) -> None:
    """One key of each family; those that a cut left are kept."""
    for scheme, *_ in home.firmware_suite.firmware.offline:
        file = key_file(offline, f"releases-{model}", scheme)
        if not file.exists():
            write_atomic(file, key_to_pem(generate_signing_key(scheme), passphrase=passphrase))
