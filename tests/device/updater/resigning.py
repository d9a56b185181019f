"""Metadata with any content at all, signed anew by the true keys and named all the way up.

What whoever holds a role's keys can write, whatever python-tuf's own types permit.
"""

import json
from typing import Any

from securesystemslib.formats import encode_canonical
from tests.device.updater.simulator import RepositorySimulator
from tuf.api.metadata import MetaFile

__all__ = ["document_of", "paths", "published_anew", "replaced", "serving", "signed_anew"]


def serving(files: dict[str, bytes]) -> RepositorySimulator:
    """A source of these files, without any key."""
    source = RepositorySimulator.__new__(RepositorySimulator)
    source.files, source.asked, source.hooks, source.chunk_hooks = files, [], [], []
    return source


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON document."""
    found = [here]
    items = list(enumerate(value)) if isinstance(value, list) else []
    for key, inner in value.items() if isinstance(value, dict) else items:
        found += paths(inner, (*here, key))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The document with `new` at `path`; a `...` takes the field away."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and new is ...:
        del copy[path[0]]
    else:
        copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def document_of(repository: RepositorySimulator, role: str) -> Any:
    """What the newest metadata of `role` signs; of root, a second version."""
    if role == "root":
        return replaced(json.loads(repository.trusted_root)["signed"], ("version",), 2)
    name = role if role == "timestamp" else f"{repository.snapshot.version}.snapshot"
    if role not in ("timestamp", "snapshot"):
        name = f"{repository.snapshot.meta[f'{role}.json'].version}.{role}"
    return json.loads(repository.files[f"metadata/{name}.json"])["signed"]


def signed_anew(repository: RepositorySimulator, role: str, document: Any) -> bytes:
    """Metadata with this `signed` part, by all true keys of the role; never checked before."""
    try:
        message = encode_canonical(document).encode()
    except Exception:  # what cannot be signed (a float, say) goes out unsigned
        message = b""
    signatures = [signer.sign(message).to_dict() for signer in repository.signers(role)]
    return json.dumps({"signatures": signatures, "signed": document}).encode()


def published_anew(repository: RepositorySimulator, role: str, data: bytes) -> dict[str, bytes]:
    """All files with `data` for `role`, and snapshot and timestamp that name it."""
    files, snapshot = dict(repository.files), repository.snapshot
    if role in ("root", "timestamp"):
        return files | {f"metadata/{'2.root' if role == 'root' else role}.json": data}
    name = f"metadata/{snapshot.version}.snapshot.json"
    if role == "snapshot":
        files[name] = data
    else:
        version = snapshot.meta[f"{role}.json"].version
        files[f"metadata/{version}.{role}.json"] = data
        meta = json.loads(repository.files[name])["signed"]
        entry = MetaFile.from_data(version, data, ["sha256"])
        files[name] = signed_anew(
            repository, "snapshot", replaced(meta, ("meta", f"{role}.json"), entry.to_dict())
        )
    entry = MetaFile.from_data(snapshot.version, files[name], ["sha256"])
    top = json.loads(repository.files["metadata/timestamp.json"])["signed"]
    pointed = replaced(top, ("meta", "snapshot.json"), entry.to_dict())
    return files | {"metadata/timestamp.json": signed_anew(repository, "timestamp", pointed)}
