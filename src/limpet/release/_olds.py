"""The old releases that deltas begin from: a release's directory, or a repository's last ones.

Owns finding them. Takes nothing on trust that matters: a device compares what a delta makes with
the new release's own hashes, and a wrong old release makes a delta that no device chooses.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from limpet.errors import Rejected, Unavailable, naming
from limpet.release._build import (
    MANIFEST_FILE,
    METADATA_FILE,
    Built,
    load_built,
    make_deltas,
)
from limpet.release._delta import OldRelease, Progress, has_delta, verify_kind
from limpet.storage import read_bounded, write_atomic
from limpet.wire.codec import decode_json, encode_json
from limpet.wire.release import MANIFEST_BYTES, ReleaseManifest, version_key

__all__ = ["LAST", "add_deltas", "load_olds"]

LAST = 3
"""Published releases that get a delta when a repository is named: who is further behind than this
fetches the whole image once."""

_MANIFEST_NAME = re.compile(r"([0-9a-f]{64})\.([0-9]+\.[0-9]+\.[0-9]+)\.json")


def load_olds(
    sources: Sequence[Path],
    *,
    model: str,
    kind: str,
    below: str,
    last: int = LAST,
    skipped: Callable[[ReleaseManifest], None],
) -> tuple[OldRelease, ...]:
    """The releases that `sources` name: each a release's directory, or a repository, of which the
    `last` ones below the version `below` count from which an image of `kind` has deltas: those of
    another kind that are passed on the way there are told to `skipped`. Newest first.

    Raises `Unavailable` for what is neither, `Rejected("wrong-model" | "not-a-base" | …)`.
    """
    found: dict[str, OldRelease] = {}
    for source in sources:
        if (source / MANIFEST_FILE).is_file():
            built = load_built(source)
            old = OldRelease(built.manifest, built.image)
            _verify(old.manifest, model=model, kind=kind, below=below)
            found[old.manifest.version] = old
        elif (source / "targets" / "firmware" / model).is_dir():
            olds = _published(source, model, below=below)
            found |= {old.manifest.version: old for old in _newest(olds, kind, last, skipped)}
        else:
            raise Unavailable(
                f"{source} is neither a release nor a repository of {model}",
                hint="name the directory of an old release, or public/repository",
            )
    return tuple(found[version] for version in sorted(found, key=version_key, reverse=True))


def add_deltas(out: Path, olds: Sequence[OldRelease], progress: Progress) -> Built:
    """Make deltas for the release in `out`, which is not signed yet; the release with them.

    Raises as `make_delta`, and `Unavailable` if it is signed: its manifest cannot change any more.
    """
    built = load_built(out)
    if (out / METADATA_FILE).exists():
        raise Unavailable(
            f"{out} is signed, and a delta would change its manifest",
            hint="make deltas before signing, or build the release again",
        )
    made = make_deltas(olds, built.manifest.image, built.image, progress)
    kept = [
        d for d in built.manifest.deltas if d.base_version not in {m.base_version for m in made}
    ]
    manifest = msgspec.structs.replace(built.manifest, deltas=(*kept, *made))
    write_atomic(out / MANIFEST_FILE, encode_json(manifest), mode=0o644)
    return load_built(out)


def _verify(manifest: ReleaseManifest, *, model: str, kind: str, below: str) -> None:
    if manifest.model != model:
        raise Rejected(
            "wrong-model", f"{manifest.version} is for {manifest.model}, not for {model}"
        )
    if version_key(manifest.version) >= version_key(below):
        raise Rejected("not-a-base", f"{manifest.version} is not older than {below}")
    verify_kind(manifest, kind)


def _newest(
    olds: Sequence[OldRelease], kind: str, last: int, skipped: Callable[[ReleaseManifest], None]
) -> Iterator[OldRelease]:
    """The `last` ones of `olds` (newest first) that an image of `kind` has deltas from."""
    for old in olds:
        if not has_delta(kind, old.manifest.image.kind):
            skipped(old.manifest)
            continue
        yield old
        last -= 1
        if not last:
            return


def _published(repository: Path, model: str, *, below: str) -> list[OldRelease]:
    """What lies in the repository below the version `below`, newest version first."""
    olds = []
    for file in (repository / "targets" / "firmware" / model).iterdir():
        named = _MANIFEST_NAME.fullmatch(file.name)
        if named is None or version_key(named[2]) >= version_key(below):
            continue
        data = read_bounded(file, max_bytes=MANIFEST_BYTES)
        with naming(file, hint="this is not a whole repository"):
            if hashlib.sha256(data).hexdigest() != named[1]:
                raise Rejected("bad-repository", "this is not the file that was signed")
            manifest = decode_json(data, ReleaseManifest, max_bytes=MANIFEST_BYTES)
        olds.append(OldRelease(manifest, repository / manifest.image.path))
    return sorted(olds, key=lambda old: version_key(old.manifest.version), reverse=True)
