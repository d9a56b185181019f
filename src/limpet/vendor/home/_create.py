"""A new vendor's directory: keys, authorities, the first repository, in one rename.

Owns the order: everything is made in a staging directory beside the final name
and renamed at the end, so that a directory under its final name is always
complete. Never overwrites, and never keeps half-made keys of an attempt that
was cut off.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from limpet.crypto.attesting import new_attesting_key, public_pem
from limpet.crypto.certificates import Issuer, issue_service, make_intermediate, make_root
from limpet.crypto.keys import generate_key, generate_signing_key, key_to_pem
from limpet.crypto.suites import CURRENT, SUITE_BYTES, SUITE_FILE, bundled_suites, load_suite
from limpet.errors import Unavailable
from limpet.product import MAX_PRODUCT_BYTES, PRODUCT_FILE, load_product
from limpet.storage import make_directory, read_bounded, sync_directory, write_atomic
from limpet.wire.attestation import GATE_KEYS_FILE
from limpet.wire.codec import encode_json

from ._layout import (
    GATE_KEY_FILE,
    LOCAL_ADDRESSES,
    REGISTER_FILE,
    SERVICE_DAYS,
    SETTINGS_FILE,
    Home,
    Settings,
    key_file,
    staging_of,
    verify_hostname,
)

__all__ = ["create"]

LOCAL_NAMES = ("localhost",)
PUBLIC = 0o644


def create(
    directory: Path,
    product: Path,
    *,
    hostnames: Sequence[str] = (),
    now: datetime,
    passphrase: bytes | None = None,
    suite: Path | None = None,
    unsafe_without_gate: bool = False,
) -> Home:
    """Make the vendor of `product` (a product's directory, or its product.toml).

    `hostnames` are the service's names, the product's own vendor hosts by default. `passphrase`
    encrypts the keys in `offline`. `suite` is a file; the newest bundled one by default. Devices of
    a vendor that is made `unsafe_without_gate` take releases that no gate has judged. Raises
    `Rejected` for a bad product or suite, `Unavailable` if
    `directory` exists and is not empty, or if another process is making it.
    """
    file = product / PRODUCT_FILE if product.is_dir() else product
    design = load_product(file)
    names = tuple(dict.fromkeys([*(hostnames or design.vendor.hosts), *LOCAL_NAMES]))
    for name in names:
        verify_hostname(name)
    _verify_free(directory)
    make_directory(directory.parent)
    staging = staging_of(directory)
    with _claimed(staging):
        _clear(staging)
        settings = Settings(
            maker=design.maker.name, model=design.model.name, hostnames=names, created_at=now
        )
        product_toml = read_bounded(file, max_bytes=MAX_PRODUCT_BYTES)
        algorithms = _read_suite(suite or bundled_suites()[CURRENT.version])
        try:
            new = Home(root=staging, settings=settings)
            _fill(new, product_toml, algorithms, now=now, passphrase=passphrase)
            if not unsafe_without_gate:
                _make_gate(new)
            _give_name(staging, directory)
        except BaseException:
            # No half-made key stays, not even until the next attempt.
            shutil.rmtree(staging, ignore_errors=True)
            raise
    return Home(root=directory, settings=settings)


@contextlib.contextmanager
def _claimed(staging: Path) -> Iterator[None]:
    """Hold the staging directory itself as the lock: two commands never fill the same one."""
    make_directory(staging)
    descriptor = os.open(staging, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine = os.path.samestat(os.fstat(descriptor), staging.stat())
    except (BlockingIOError, FileNotFoundError):
        mine = False
    try:
        if not mine:
            raise Unavailable(f"another process is making {staging.name[1:].removesuffix('.part')}")
        yield
    finally:
        os.close(descriptor)


def _verify_free(directory: Path) -> None:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise Unavailable(
            f"{directory} exists and is not empty", hint="choose another directory, or remove it"
        )


def _clear(staging: Path) -> None:
    """Remove what an attempt that was cut off left: keys that nobody has seen or used."""
    try:
        for entry in staging.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    except OSError as error:
        raise Unavailable(f"cannot clear {staging}: {error.strerror}") from error


def _give_name(staging: Path, directory: Path) -> None:
    try:
        staging.rename(directory)  # replaces an empty directory, and nothing else
        sync_directory(directory.parent)
    except OSError as error:
        raise Unavailable(f"cannot name {directory}: {(error.strerror or '').lower()}") from error


def _read_suite(file: Path) -> bytes:
    load_suite(file)
    return read_bounded(file, max_bytes=SUITE_BYTES)


def _fill(
    home: Home, product_toml: bytes, suite: bytes, *, now: datetime, passphrase: bytes | None
) -> None:
    from limpet.vendor.factory.register import Register
    from limpet.vendor.repository.founding import found_repository
    from limpet.vendor.store import Database

    for drawer in (home.offline, home.factory, home.online, home.public, home.trust):
        make_directory(drawer, mode=0o755 if drawer in (home.public, home.trust) else 0o700)
    for drawer in (home.trust, home.online):
        write_atomic(drawer / SUITE_FILE, suite, mode=PUBLIC)
    make_directory(home.public / "pages", mode=0o755)
    _make_authorities(home, now, passphrase)
    _make_signing_keys(home, passphrase)
    for copy in (home.product_file, home.factory_product_file):
        write_atomic(copy, product_toml, mode=PUBLIC)
    Database.create(home.database).close()
    Register.create(home.factory / REGISTER_FILE)
    found_repository(home, now=now, passphrase=passphrase)
    write_atomic(home.online / SETTINGS_FILE, encode_json(home.settings), mode=PUBLIC)


def _make_gate(home: Home) -> None:
    """The key by which the gate speaks, apart from the offline ones: it lies where builds do."""
    key = new_attesting_key()
    make_directory(home.gate, mode=0o700)
    write_atomic(home.gate / GATE_KEY_FILE, key_to_pem(key))
    write_atomic(home.trust / GATE_KEYS_FILE, public_pem(key.public_key()), mode=PUBLIC)


def _make_authorities(home: Home, now: datetime, passphrase: bytes | None) -> None:
    maker, suite = home.settings.maker, home.firmware_suite
    devices = make_root(f"{maker} Device Root", now=now, suite=suite)
    services = make_root(f"{maker} Service Root", now=now, suite=suite)
    _write_issuer(home.offline / "device-root", devices, passphrase)
    _write_issuer(home.offline / "service-root", services, passphrase)
    factory = make_intermediate(devices, f"{maker} Factory CA", now=now, suite=suite)
    operational = make_intermediate(devices, f"{maker} Operational CA", now=now, suite=suite)
    _write_issuer(home.factory / "factory-ca", factory, None)
    _write_issuer(home.online / "operational-ca", operational, None)
    # The service knows the factory's certificate, to tell an IDevID from an LDevID; not its key.
    write_atomic(home.online / "factory-ca.pem", factory.certificate_pem(), mode=PUBLIC)
    for drawer in (home.online, home.trust):
        write_atomic(drawer / "device-root.pem", devices.certificate_pem(), mode=PUBLIC)
    write_atomic(home.trust / "service-root.pem", services.certificate_pem(), mode=PUBLIC)
    key = generate_key(suite)
    chain = issue_service(
        services,
        key,
        hostnames=home.settings.hostnames,
        addresses=LOCAL_ADDRESSES,
        now=now,
        days=SERVICE_DAYS,
        suite=suite,
    )
    write_atomic(home.online / "service.key", key_to_pem(key))
    write_atomic(home.online / "service.pem", chain, mode=PUBLIC)


def _write_issuer(stem: Path, issuer: Issuer, passphrase: bytes | None) -> None:
    write_atomic(stem.with_suffix(".key"), key_to_pem(issuer.key, passphrase=passphrase))
    write_atomic(stem.with_suffix(".pem"), issuer.certificate_pem(), mode=PUBLIC)


def _make_signing_keys(home: Home, passphrase: bytes | None) -> None:
    """One key of each family that the suite asks for."""
    model, rules = home.model, home.firmware_suite.firmware
    for scheme, *_ in rules.offline:
        for name in ("tuf-root", "tuf-targets", f"releases-{model}"):
            key = key_to_pem(generate_signing_key(scheme), passphrase=passphrase)
            write_atomic(key_file(home.offline, name, scheme), key)
    for scheme, *_ in rules.online:
        for name in ("tuf-timestamp", "tuf-snapshot", f"rollout-{model}"):
            key = key_to_pem(generate_signing_key(scheme))
            write_atomic(key_file(home.online, name, scheme), key)
