"""What the vendor offers now: TUF metadata, the plan, the manifest, the support statement.

Owns the use of python-tuf's client and what limpet adds to it: the root of trust
always comes from the firmware, keys are of the suite's schemes only and each family of
them has signed, expiry is judged by a clock that cannot fall behind the time floor, and
every version is compared with the floor. Never installs, and never reads an image.

Order: refresh (TUF 1.0.33, 5.3 to 5.6), floor raised and durable, then targets. A
plan is looked at only after the floor holds what it was signed with.
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TypeVar
from urllib.parse import quote

from tuf.api import exceptions
from tuf.api.metadata import Metadata, Root, TargetFile, Targets
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from limpet.crypto.suites import CURRENT, Suite
from limpet.device.updater.floor import Floor, SeenRole, raise_floor
from limpet.device.updater.schemes import (
    ROOT_BYTES,
    verify_delegations,
    verify_roots,
    verify_targets,
)
from limpet.device.updater.source import NotFound, Source
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.storage import make_directory, read_bounded
from limpet.wire.codec import Message, decode_json
from limpet.wire.release import MANIFEST_BYTES, manifest_path
from limpet.wire.rollout import PLAN_BYTES, Plan, PlannedRelease, plan_path
from limpet.wire.support import SUPPORT_BYTES, SupportStatement, support_path

__all__ = ["Offer", "Repository"]

_CACHED_BYTES = 1 << 22
_BASE = "https://repository.invalid/"  # names the fetcher's namespace; nothing resolves it
_METADATA, _TARGETS = "metadata/", "targets/"

_CONFIG = {
    "max_root_rotations": 64,
    "max_delegations": 8,
    "root_max_length": ROOT_BYTES,
    "timestamp_max_length": 16 << 10,
    "snapshot_max_length": 64 << 10,
    "targets_max_length": 1 << 20,
}

_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.ExpiredMetadataError, "expired-metadata"),
    (exceptions.BadVersionNumberError, "rollback"),
    (exceptions.UnsignedMetadataError, "bad-signature"),
    (exceptions.LengthOrHashMismatchError, "bad-signature"),
    (exceptions.RepositoryError, "malformed"),
)

T = TypeVar("T", bound=Message)


@dataclass(frozen=True, slots=True)
class Offer:
    """One consistent view of the repository, all of it signed as the delegations say.

    `manifest` is the file that the plan names, or None if the plan offers nothing. `floor` is
    what the device has now seen; the caller has made it durable.
    """

    plan: Plan
    manifest: bytes | None
    support: SupportStatement | None
    floor: Floor


class Repository:
    """The client side of one model's repository."""

    def __init__(
        self,
        source: Source,
        *,
        model: str,
        directory: Path,
        trusted_root: bytes,
        suite: Suite = CURRENT,
    ) -> None:
        self._source, self._model, self._root = source, model, trusted_root
        self._suite = suite
        self._cache, self._targets = directory / "metadata", directory / "targets"
        make_directory(self._cache)
        make_directory(self._targets)

    def look(self, floor: Floor, *, now: datetime, keep: Callable[[Floor], None]) -> Offer:
        """What is offered, verified at `now` (UTC, not before the time floor).

        `keep` makes a raised floor durable before the plan is believed. Raises `Rejected` with
        `bad-signature`, `weak-key`, `expired-metadata`, `rollback`, `malformed`, `too-large` or
        `unsigned-release`, and `Unavailable`.
        """
        with _tuf_errors():
            client = self._refreshed(now)
            plan = self._target(client, plan_path(self._model), Plan, PLAN_BYTES)
            support = self._target(
                client, support_path(self._model), SupportStatement, SUPPORT_BYTES
            )
        seen = raise_floor(
            floor,
            roles=self._seen_roles(),
            signed_time=support.issued_at if support is not None else None,
        )
        keep(seen)
        if plan is None:
            raise Rejected("malformed", f"the repository has no plan for {self._model}")
        if plan.model != self._model:
            raise Rejected("wrong-model", f"the plan is for {plan.model}")
        seen = raise_floor(seen, withdrawn=plan.withdrawn)
        keep(seen)
        manifest = None
        if plan.release is not None:
            with _tuf_errors():
                manifest = self._manifest(client, plan.release)
        return Offer(plan=plan, manifest=manifest, support=support, floor=seen)

    def _refreshed(self, now: datetime) -> Updater:
        client = Updater(
            str(self._cache),
            _BASE + _METADATA,
            target_dir=str(self._targets),
            target_base_url=_BASE + _TARGETS,
            fetcher=_Fetcher(self._source),
            config=UpdaterConfig(**_CONFIG),  # type: ignore[arg-type]
            bootstrap=self._root,
        )
        first = client._trusted_set.root.version
        # python-tuf judges expiry by the system's clock alone. A test holds this attribute.
        client._trusted_set.reference_time = now
        client.refresh()
        root = client._trusted_set.root
        verify_roots(self._cache, first, root.version, self._suite)
        verify_targets(root, lambda role: self._verified(client, role), self._suite)
        return client

    def _verified(self, client: Updater, role: str) -> Metadata[Targets] | None:
        """The file of a role that the client holds, with the signatures; None if it holds none."""
        try:
            signed = client._trusted_set[role]
        except KeyError:
            return None
        data = read_bounded(self._cache / _file_name(role), max_bytes=_CACHED_BYTES)
        metadata: Metadata[Targets] = Metadata.from_bytes(data)
        if metadata.signed != signed:
            raise Unavailable(f"{role} changed on disk while it was read")
        return metadata

    def _info(self, client: Updater, path: str) -> TargetFile | None:
        """What is signed of the target at `path`, as the suite asks."""
        info = client.get_targetinfo(path)
        verify_delegations(
            client._trusted_set, path, lambda role: self._verified(client, role), self._suite
        )
        return info

    def _manifest(self, client: Updater, planned: PlannedRelease) -> bytes:
        path = manifest_path(self._model, planned.version)
        info = self._info(client, path)
        if info is None or info.hashes.get("sha256") != planned.manifest_sha256:
            raise Rejected(
                "unsigned-release",
                f"releases/{self._model} has not signed what the plan calls {planned.version}",
            )
        return self._bytes(client, path, MANIFEST_BYTES) or b""

    def _target(self, client: Updater, path: str, kind: type[T], max_bytes: int) -> T | None:
        data = self._bytes(client, path, max_bytes)
        return None if data is None else decode_json(data, kind, max_bytes=max_bytes)

    def _bytes(self, client: Updater, path: str, max_bytes: int) -> bytes | None:
        """A target's content, from the cache if it still has its signed hash."""
        info = self._info(client, path)
        if info is None:
            return None
        if info.length > max_bytes or "sha256" not in info.hashes:
            raise Rejected("too-large", f"{path} is larger than {max_bytes} bytes, or has no hash")
        name = hashlib.sha256(path.encode()).hexdigest()
        cached = client.find_cached_target(info, str(self._targets / name))
        cached = cached or client.download_target(info, str(self._targets / name))
        data = read_bounded(Path(cached), max_bytes=max_bytes)
        if hashlib.sha256(data).hexdigest() != info.hashes["sha256"]:
            raise Unavailable(f"{path} changed on disk while it was read")
        return data

    def _seen_roles(self) -> dict[str, SeenRole]:
        """Version and keys of every role just verified, from the client's cache files."""
        with _tuf_errors():
            root = self._cached("root")
            targets = self._cached("targets")
            if not isinstance(root, Root) or not isinstance(targets, Targets):
                raise Rejected("malformed", "the metadata cache is damaged")
            keys = {name: role.keyids for name, role in root.roles.items()}
            if targets.delegations is not None and targets.delegations.roles is not None:
                keys |= {name: r.keyids for name, r in targets.delegations.roles.items()}
            mine = (f"releases/{self._model}", f"rollout/{self._model}")
            names = ["root", "timestamp", "snapshot", "targets"]
            names += [name for name in mine if (self._cache / _file_name(name)).is_file()]
            return {
                name: SeenRole(self._cached(name).version, tuple(sorted(keys.get(name, ()))))
                for name in names
            }

    def _cached(self, role: str) -> "Root | Targets":
        data = read_bounded(self._cache / _file_name(role), max_bytes=_CACHED_BYTES)
        signed: Root | Targets = Metadata.from_bytes(data).signed
        return signed


class _Fetcher(FetcherInterface):
    """python-tuf's fetcher over a `Source`: in memory, and bounded before it reads."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def _fetch(self, url: str) -> Iterator[bytes]:
        return iter([self._read(url, _CACHED_BYTES)])

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """The file at `url`; the base class would write it to a temporary directory."""
        yield io.BytesIO(self._read(url, max_length))

    def _read(self, url: str, max_bytes: int) -> bytes:
        try:
            return self._source.get(url.removeprefix(_BASE), max_bytes=max_bytes)
        except NotFound as error:
            raise exceptions.DownloadHTTPError(error.message, error.status) from error


def _file_name(role: str) -> str:
    return f"{quote(role, '')}.json"


@contextmanager
def _tuf_errors() -> Iterator[None]:
    """Every error of python-tuf as one of ours."""
    try:
        yield
    except LimpetError:
        raise
    except exceptions.DownloadError as error:
        cause = error.__cause__
        if isinstance(cause, LimpetError):
            raise Unavailable(cause.message) from error
        raise Unavailable(f"the repository is not whole: {error}") from error
    except exceptions.RepositoryError as error:
        reason = next(reason for kind, reason in _REASONS if isinstance(error, kind))
        raise Rejected(reason, f"the repository's metadata: {error}") from error
    except OSError as error:
        raise Unavailable(f"cannot keep the metadata: {error.strerror or error}") from error
    except ValueError as error:
        raise Rejected("malformed", f"the repository's metadata: {error}") from error
