"""The repository as an offline signer must see it: verified from the root of trust.

Owns reading the metadata of `releases/<model>` through python-tuf's client over
local files, so that what is signed next continues what the release keys signed
last, and not what a taken server shows. Writes nothing outside a temporary
directory.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.api.metadata import DelegatedRole, Metadata, Root, Targets
from tuf.ngclient import FetcherInterface, Updater

from limpet.crypto.suites import CURRENT, Suite
from limpet.errors import Rejected, Unavailable
from limpet.firmware.signatures import verify_all_keys, verify_role_keys
from limpet.storage import read_bounded
from limpet.wire.release import manifest_path

__all__ = ["CurrentReleases", "load_current", "read_target", "releases_role"]

_ROOT_BYTES = 1 << 20
_METADATA_BYTES = 8 << 20
_BASE = "file:///metadata/"


@dataclass(frozen=True, slots=True)
class CurrentReleases:
    """What the release keys signed last, and who may sign next."""

    role: DelegatedRole
    targets: Targets
    delegator: Targets


def releases_role(model: str) -> str:
    """The name of the offline role that says what firmware of `model` exists."""
    return f"releases/{model}"


def load_current(
    repository: Path, *, root: Path, model: str, suite: Suite = CURRENT
) -> CurrentReleases:
    """The current metadata of `releases/<model>`, verified from `root` (TUF 1.0.33, 5.3 to 5.6).

    Raises `Rejected("bad-repository")` when a signature, version or expiry does not hold,
    `Rejected("weak-key")` when devices would refuse whatever is signed, for the scheme of a key of
    root or of the role, `Unavailable` when files are missing.
    """
    trusted = read_bounded(root, max_bytes=_ROOT_BYTES)
    name = releases_role(model)
    with tempfile.TemporaryDirectory(prefix="limpet-release-") as cache:
        try:
            updater = Updater(cache, _BASE, fetcher=_Files(repository), bootstrap=trusted)
            updater.refresh()
            updater.get_targetinfo(manifest_path(model, "0.0.0"))  # loads the delegated role
            top: Metadata[Root] = Metadata.from_file(f"{cache}/root.json")
            parent: Metadata[Targets] = Metadata.from_file(f"{cache}/targets.json")
            current: Metadata[Targets] = Metadata.from_file(
                f"{cache}/{name.replace('/', '%2F')}.json"
            )
        except DownloadError as error:
            raise Unavailable(f"{repository} is not a whole repository: {error}") from error
        except (RepositoryError, OSError, ValueError) as error:
            raise Rejected(
                "bad-repository",
                f"{repository}: {error}",
                hint="sign beside the current repository, and with the current root of trust",
            ) from error
    delegations = parent.signed.delegations
    role = delegations.roles.get(name) if delegations and delegations.roles else None
    if role is None:
        raise Rejected("unknown-model", f"{repository} delegates no {name}")
    verify_all_keys(top.signed, what="root", suite=suite)
    verify_role_keys(parent.signed, name, what=name, suite=suite)
    return CurrentReleases(role, current.signed, parent.signed)


def read_target(repository: Path, path: str, sha256: str, *, max_bytes: int) -> bytes:
    """What lies in `repository` for the TUF target `path`. Raises `Unavailable`, and
    `Rejected("bad-repository")` for a file that is not the signed one."""
    folder, _, name = path.rpartition("/")
    file = repository / "targets" / folder / f"{sha256}.{name}"
    data = read_bounded(file, max_bytes=max_bytes)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Rejected("bad-repository", f"{file} is not what was signed")
    return data


class _Files(FetcherInterface):
    """The repository's files; a name is decoded as a static server does."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = self._repository / unquote(urlsplit(url).path).lstrip("/")
        if not path.is_file():
            raise DownloadHTTPError(f"no {path}", 404)
        return iter([read_bounded(path, max_bytes=_METADATA_BYTES)])
