"""Another model in the same vendor, with the drawer open.

Owns the making of its keys and the metadata that names them. May be run again after a cut at any
point: keys that are there are used, and what is published is not published again. The running
service never imports it; it knows the model after its next start.
"""

from datetime import datetime
from pathlib import Path

import msgspec
from tuf.api.metadata import DelegatedRole, Key, Targets

from limpet.crypto.keys import generate_signing_key, key_to_pem
from limpet.errors import Rejected
from limpet.product import MAX_PRODUCT_BYTES, PRODUCT_FILE, load_product
from limpet.storage import read_bounded, write_atomic
from limpet.vendor.home import SETTINGS_FILE, Home, hold_lock, key_file, open_home
from limpet.wire.codec import encode_json

from ._lifetimes import TARGETS
from ._metadata import load_drawer_signers, releases_role, renewed, sign_metadata
from ._models import OfferedModel
from ._repository import Repository
from .founding import delegate, first_metadata, first_plan

__all__ = ["add_model"]

PUBLIC_FILE = 0o644


def add_model(
    home: Home, product: Path, *, offline: Path, now: datetime, passphrase: bytes | None = None
) -> Home:
    """Let `home` know the model of `product` (a product's directory, or its product.toml).

    `offline` is the drawer. Returns the vendor with the model in view. Raises `Rejected`
    (wrong-maker, known-model, and as `load_product`) and `Unavailable`.
    """
    file = product / PRODUCT_FILE if product.is_dir() else product
    design = load_product(file)
    with hold_lock(home.online / "models.lock"):
        settings = open_home(home.root).settings  # as they are now that nobody else changes them
        model = design.model.name
        if design.maker.name != settings.maker:
            raise Rejected(
                "wrong-maker",
                f"the design file's maker is {design.maker.name}, the vendor's {settings.maker}",
                hint="correct [maker] name in product.toml, or make a vendor of its own with"
                " limpet vendor init",
            )
        if model in settings.models:
            raise Rejected(
                "known-model",
                f"this vendor has {model}",
                hint="limpet vendor model list shows them all",
            )
        _publish(home, model, offline=offline, now=now, passphrase=passphrase)
        joined = msgspec.structs.replace(settings, others=(*settings.others, model))
        added = Home(root=home.root, settings=joined, view=model)
        data = read_bounded(file, max_bytes=MAX_PRODUCT_BYTES)
        for copy in (added.product_file, added.factory_product_file):
            write_atomic(copy, data, mode=PUBLIC_FILE)
        # Last: until then nothing asks for the model, and the same command begins anew.
        write_atomic(home.online / SETTINGS_FILE, encode_json(joined), mode=PUBLIC_FILE)
    return added


def _publish(
    home: Home, model: str, *, offline: Path, now: datetime, passphrase: bytes | None
) -> None:
    repository = Repository(home, lambda: now)
    state, now = repository.state(), now.replace(microsecond=0)
    if releases_role(model) in state.delegated:
        return  # by a command that was cut off
    _make_keys(home, model, offline, passphrase)
    releases = load_drawer_signers(offline, f"releases-{model}", passphrase=passphrase)
    rollout = load_drawer_signers(home.online, f"rollout-{model}")
    targets = renewed(state.targets, now=now, lifetime=TARGETS)
    _join(targets, *delegate(model, releases, rollout))
    signers = load_drawer_signers(offline, "tuf-targets", passphrase=passphrase)
    by_role = first_metadata(model, releases, rollout, now)
    first_releases, first_rollout = by_role.values()
    repository.add_model(
        OfferedModel(
            model=model,
            targets=sign_metadata(targets, *signers),
            releases=first_releases,
            rollout=first_rollout,
            plan=first_plan(model, now)[1],
        )
    )


def _join(targets: Targets, keys: dict[str, Key], roles: dict[str, DelegatedRole]) -> None:
    delegations = targets.delegations
    if delegations is None or delegations.roles is None:
        raise Rejected("bad-repository", "targets delegates nothing")
    delegations.keys |= keys
    delegations.roles |= roles


def _make_keys(home: Home, model: str, offline: Path, passphrase: bytes | None) -> None:
    """One key of each family; those that a cut left, which nobody has used, are kept."""
    rules = home.firmware_suite.firmware
    for scheme, *_ in rules.offline:
        file = key_file(offline, f"releases-{model}", scheme)
        if not file.exists():
            write_atomic(file, key_to_pem(generate_signing_key(scheme), passphrase=passphrase))
    for scheme, *_ in rules.online:
        file = key_file(home.online, f"rollout-{model}", scheme)
        if not file.exists():
            write_atomic(file, key_to_pem(generate_signing_key(scheme)))
