"""TUF metadata and the small files that it signs: what was refreshed, and what may be believed.

Owns the use of python-tuf's client and what limpet adds to it: the root of trust
always comes from the firmware, keys are of the suite's schemes only and each family of
them has signed, expiry is judged by the clock that the caller gives, and every error names
the file at which it was noticed. Knows no plan, release or model: `repository` does.

Order: refresh (TUF 1.0.33, 5.3 to 5.6), then the suite's rules, then targets, each with the
rules of the roles that sign it.
"""

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO
from urllib.parse import quote

from tuf.api import exceptions
from tuf.api.metadata import Metadata, TargetFile, Targets
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from limpet.crypto.suites import CURRENT, Suite
from limpet.device.updater.floor import SeenRole
from limpet.device.updater.schemes import verify_delegations, verify_roots, verify_targets
from limpet.device.updater.source import NotFound, Source
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.storage import advice_for, make_directory, read_bounded, reason_for, remove_tree
from limpet.wire.metadata import ROLE_BYTES, ROOT_BYTES, SNAPSHOT_BYTES, TIMESTAMP_BYTES

__all__ = ["MetadataClient", "View"]

TARGET_BYTES = 1 << 20
"""Largest target that is read: a manifest."""

_FETCHED_BYTES = 1 << 22
_STRONG = frozenset({"sha256", "sha384", "sha512"})  # FIPS 180-4; python-tuf checks every one named
_BASE = "https://repository.invalid/"  # names the fetcher's namespace; nothing resolves it
_METADATA, _TARGETS = "metadata/", "targets/"
_PATH = re.compile(r"[!-~]{1,2048}")  # what a request can hold (RFC 9112, 3.2)
_SAID_CHARACTERS = 300

_CONFIG = {
    # All since the firmware's own root: who lay in a drawer for years must get through. Only root's
    # own keys can make the chain longer.
    "max_root_rotations": 1024,
    "max_delegations": 8,
    "root_max_length": ROOT_BYTES,
    "timestamp_max_length": TIMESTAMP_BYTES,
    "snapshot_max_length": SNAPSHOT_BYTES,
    "targets_max_length": ROLE_BYTES,
}

_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.ExpiredMetadataError, "expired-metadata"),
    (exceptions.BadVersionNumberError, "rollback"),
    (exceptions.UnsignedMetadataError, "bad-signature"),
    (exceptions.LengthOrHashMismatchError, "bad-signature"),
    (exceptions.RepositoryError, "malformed"),
)

_UNFORESEEN = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)
"""What python-tuf raises for signed metadata of a shape that it did not foresee."""


@dataclass(frozen=True, slots=True)
class MetadataClient:
    """The client side of one repository.

    `cache` and `targets` are directories of its own. `suite` says which schemes and families of
    keys are believed.
    """

    source: Source
    cache: Path
    targets: Path
    trusted_root: bytes
    suite: Suite = CURRENT

    def refresh(self, now: datetime) -> "View":
        """The newest metadata of the top-level roles, verified at `now` (UTC).

        Raises `Rejected` with `bad-signature`, `weak-key`, `expired-metadata`, `rollback`,
        `malformed` or `too-large`, and `Unavailable`.
        """
        make_directory(self.cache)
        make_directory(self.targets)
        fetcher = _Fetcher(self.source)
        with _tuf_errors(fetcher):
            client = Updater(
                str(self.cache),
                _BASE + _METADATA,
                target_dir=str(self.targets),
                target_base_url=_BASE + _TARGETS,
                fetcher=fetcher,
                config=UpdaterConfig(**_CONFIG),  # type: ignore[arg-type]
                bootstrap=self.trusted_root,
            )
            first = client._trusted_set.root.version
            # python-tuf judges expiry by the system's clock alone. A test holds this attribute.
            client._trusted_set.reference_time = now
            client.refresh()
            view = View(self, client, fetcher)
            root = client._trusted_set.root
            verify_roots(self.cache, first, root.version, self.suite)
            verify_targets(root, view.verified, self.suite)
        return view

    def forget(self) -> None:
        """Empty the cache, whatever lies in its place. Raises `Unavailable`."""
        for directory in (self.cache, self.targets):
            try:
                remove_tree(directory)
            except OSError as error:
                raise _cannot_keep(error) from error


class View:
    """One consistent state of the repository, as `MetadataClient.refresh` verified it."""

    def __init__(self, of: MetadataClient, client: Updater, fetcher: "_Fetcher") -> None:
        self._of, self._client, self._fetcher = of, client, fetcher
        self._names: set[str] = set()  # of the targets that were read, in the cache

    @property
    def ends(self) -> datetime:
        """UTC: when the timestamp ends, which the vendor's server signs anew each day."""
        return self._client._trusted_set.timestamp.expires

    def info(self, path: str) -> TargetFile | None:
        """What is signed of the target at `path`, as the suite asks; None if nothing is.

        Raises as `MetadataClient.refresh`.
        """
        with _tuf_errors(self._fetcher):
            info = self._client.get_targetinfo(path)
            trusted = self._client._trusted_set
            verify_delegations(trusted, path, self.verified, self._of.suite)
            return info

    def read(self, path: str, *, max_bytes: int) -> bytes | None:
        """A target's content, from the cache if it still has its signed hash; None if there is no
        such target. Raises as `MetadataClient.refresh`.
        """
        info = self.info(path)
        if info is None:
            return None
        if info.length > max_bytes:
            raise Rejected("too-large", f"{path} is larger than {max_bytes} bytes")
        if _STRONG.isdisjoint(info.hashes):
            raise Rejected("malformed", f"{path} is signed without a strong hash")
        name = hashlib.sha256(path.encode()).hexdigest()
        self._names.add(name)
        file = str(self._of.targets / name)
        with _tuf_errors(self._fetcher):
            cached = self._client.find_cached_target(info, file)
            cached = cached or self._client.download_target(info, file)
            data = read_bounded(Path(cached), max_bytes=max_bytes)
        try:
            info.verify_length_and_hashes(data)
        except exceptions.LengthOrHashMismatchError as error:
            raise Unavailable(f"{path} changed on disk while it was read") from error
        return data

    def forget_others(self) -> None:
        """Keep no target that this view did not read: each release's manifest is another one, and
        a device runs for many years. What cannot be removed stays."""
        with suppress(OSError):
            for file in self._of.targets.iterdir():
                if file.name not in self._names:
                    remove_tree(file)

    def seen(self) -> dict[str, SeenRole]:
        """Version and keys of every role that was verified and that root or targets names."""
        trusted = self._client._trusted_set
        roles: dict[str, SeenRole] = {}
        delegations = trusted.targets.delegations
        below = delegations.roles if delegations is not None else None
        for name, role in {**trusted.root.roles, **(below or {})}.items():
            if name in trusted:
                version = trusted[name].version
                roles[name] = SeenRole(version, tuple(sorted(role.keyids)))
        return roles

    def signed_by(self, role: str) -> frozenset[str]:
        """The SHA-256 of every target that `role` signs now; none if it was not looked at."""
        trusted = self._client._trusted_set
        signed = trusted.get(role)
        files = signed.targets.values() if isinstance(signed, Targets) else ()
        return frozenset(file.hashes.get("sha256", "") for file in files)

    def verified(self, role: str) -> Metadata[Targets] | None:
        """The file of a role that python-tuf has verified, with its signatures; None if it has
        not looked at it."""
        try:
            signed = self._client._trusted_set[role]
        except KeyError:
            return None
        data = read_bounded(self._of.cache / f"{quote(role, '')}.json", max_bytes=_FETCHED_BYTES)
        metadata: Metadata[Targets] = Metadata.from_bytes(data)
        if metadata.signed != signed:
            raise Unavailable(f"{role} changed on disk while it was read")
        return metadata


class _Fetcher(FetcherInterface):
    """python-tuf's fetcher over a `Source`: in memory, and bounded before it reads."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.last = "the root in the firmware"
        """What was read last, for messages."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        return iter([self._read(url, _FETCHED_BYTES)])

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """The file at `url`; the base class would write it to a temporary directory."""
        yield io.BytesIO(self._read(url, max_length))

    def _read(self, url: str, max_bytes: int) -> bytes:
        path = url.removeprefix(_BASE)
        if not _PATH.fullmatch(path) or ".." in path.split("/"):
            raise Rejected("malformed", "the metadata names a file that cannot be asked for")
        self.last = path
        # Whoever signs a length with an online key may sign any: the bound is ours.
        bound = min(max_bytes, _longest(path))
        try:
            return self._source.get(path, max_bytes=bound)
        except NotFound as error:
            raise exceptions.DownloadHTTPError(error.message, error.status) from error


@contextmanager
def _tuf_errors(fetcher: _Fetcher) -> Iterator[None]:
    """Every error of python-tuf as one of ours, which names the file read last."""
    try:
        yield
    except LimpetError:
        raise
    except exceptions.DownloadError as error:
        cause = error.__cause__
        if isinstance(cause, Rejected | Unavailable):
            raise Unavailable(cause.message, reason=cause.reason) from error
        raise Unavailable(
            f"the repository is not whole: {fetcher.last}: {_printable(error)}",
            reason="missing-file",
        ) from error
    except exceptions.RepositoryError as error:
        reason = next(reason for kind, reason in _REASONS if isinstance(error, kind))
        raise Rejected(reason, _about(fetcher, error)) from error
    except OSError as error:
        raise _cannot_keep(error) from error
    except _UNFORESEEN as error:
        raise Rejected("malformed", _about(fetcher, error)) from error


def _about(fetcher: _Fetcher, error: Exception) -> str:
    return f"the repository's metadata, at {fetcher.last}: {_printable(error)}"


def _cannot_keep(error: OSError) -> Unavailable:
    return Unavailable(
        f"cannot keep the metadata: {(error.strerror or str(error)).lower()}",
        hint=advice_for(error),
        reason=reason_for(error),
    )


def _longest(path: str) -> int:
    """The most bytes that are ever read of the file at `path`."""
    if not path.startswith(_METADATA):
        return TARGET_BYTES
    role = path.removesuffix(".json").rpartition("/")[2].rpartition(".")[2]
    return _CONFIG.get(f"{role}_max_length", ROLE_BYTES)


def _printable(error: Exception) -> str:
    """What python-tuf says, which may quote what a peer wrote: for a log, and not for ever."""
    text = "".join(sign if sign.isprintable() else "?" for sign in str(error)[:_SAID_CHARACTERS])
    return text.encode("ascii", "replace").decode("ascii")
