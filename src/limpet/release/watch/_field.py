"""What of a vendor's is in the field: supported releases with their components, devices by version.

Owns the reading. A bill of materials counts only with the hash that the signed manifest names.
Never writes, and never takes a release that its role does not sign.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.release.sbom import SBOM_BYTES, Sbom, read_sbom
from limpet.storage import read_bounded
from limpet.wire.release import ReleaseManifest, manifest_path, sbom_path

from ._types import FieldRelease, Trouble

if TYPE_CHECKING:
    from limpet.vendor.repository import Repository

__all__ = ["MAX_RELEASES", "Field", "load_field"]

MAX_RELEASES = 200
"""Of one model, the newest: more than any vendor supports at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Releases that are looked at, each with its bill of materials where there is a sound one."""

    releases: tuple[FieldRelease, ...]  # by model, then by version
    sboms: Mapping[tuple[str, str], Sbom]  # by model and version
    devices: Mapping[tuple[str, str], int]  # by model and running version
    unsupported: frozenset[str]  # models
    troubles: tuple[Trouble, ...]


def load_field(
    vendor: Path, *, clock: Callable[[], datetime], note: Callable[[str], None]
) -> Field:
    """Read the vendor's directory. Raises `Unavailable`, `Rejected` where it cannot be read.

    Looked at is every published release of a supported model, but for one that was withdrawn and
    that no device runs. A model without a support statement counts as supported.
    """
    from limpet.vendor.fleet import view_fleet
    from limpet.vendor.home import open_home
    from limpet.vendor.repository import Repository
    from limpet.vendor.store import Database

    home = open_home(vendor)
    database = Database.open(home.database)
    try:
        fleet = view_fleet(database)
    finally:
        database.close()
    devices = Counter((one.model, one.running) for one in fleet if one.running)
    releases: list[FieldRelease] = []
    unsupported: set[str] = set()
    for model in home.settings.models:
        repository = Repository(home.of(model), clock)
        statement = repository.support()
        if statement is not None and statement.until < clock():
            unsupported.add(model)
        else:
            releases += _choose(repository, home.repository, devices)
    sboms, troubles = _load_sboms(home.repository, releases, note)
    return Field(
        releases=tuple(releases),
        sboms=sboms,
        devices=dict(devices),
        unsupported=frozenset(unsupported),
        troubles=troubles,
    )


def _choose(
    repository: "Repository", root: Path, devices: Mapping[tuple[str, str], int]
) -> list[FieldRelease]:
    """The releases of a supported model that are looked at."""
    withdrawn = set(repository.plan().withdrawn)
    chosen = [
        one
        for one in repository.releases()[-MAX_RELEASES:]
        if one.manifest_sha256 not in withdrawn
        or devices.get((one.manifest.model, one.manifest.version))
    ]
    # A withdrawn release is no way out, whoever runs it.
    offered = [one.manifest.version for one in chosen if one.manifest_sha256 not in withdrawn]
    return [
        FieldRelease(
            model=one.manifest.model,
            version=one.manifest.version,
            sbom=one.manifest.sbom if isinstance(one.manifest.sbom, str) else "",
            published_at=_published_at(root, one.manifest, one.manifest_sha256),
            newest=one.manifest.version == offered[-1] if offered else False,
        )
        for one in chosen
    ]


def _load_sboms(
    root: Path, releases: Sequence[FieldRelease], note: Callable[[str], None]
) -> tuple[dict[tuple[str, str], Sbom], tuple[Trouble, ...]]:
    sboms: dict[tuple[str, str], Sbom] = {}
    troubles = []
    for one in releases:
        what = f"{one.model} {one.version}"
        note(what)
        try:
            sboms[(one.model, one.version)] = _load_sbom(root, one.sbom, what)
        except LimpetError as error:
            reason = "sbom-missing" if isinstance(error, Unavailable) else "sbom-damaged"
            troubles.append(Trouble(reason, error.message, one.model, one.version))
    return sboms, tuple(troubles)


def _published_at(root: Path, manifest: ReleaseManifest, sha256: str) -> datetime:
    """When the manifest was put into the repository: its file's time, never before it was built."""
    directory, _, name = manifest_path(manifest.model, manifest.version).rpartition("/")
    file = root / "targets" / directory / f"{sha256}.{name}"
    try:
        return max(datetime.fromtimestamp(int(file.stat().st_mtime), UTC), manifest.built_at)
    except OSError:
        return manifest.built_at


def _load_sbom(repository: Path, sha256: str, what: str) -> Sbom:
    if not sha256:
        raise Unavailable(f"{what} was published without a bill of materials")
    name = sbom_path(sha256)
    data = read_bounded(repository / name, max_bytes=SBOM_BYTES)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Rejected("tampered-sbom", f"{name} of {what} is not the one that was signed")
    return read_sbom(data, f"{name} of {what}")
