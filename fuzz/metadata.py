"""TUF metadata of any content, signed by the true keys and named all the way up, as a device reads
it.

Owns the promise: whoever holds the keys of a role can make a device refuse or wait, by a named
reason in printable words, and nothing else ever leaves the updater.
"""

import functools
import json
import tempfile
from pathlib import Path

from tests.device.updater.resigning import document_of, published_anew, serving, signed_anew
from tests.device.updater.simulator import MODEL, NOW, RELEASES, ROLLOUT, RepositorySimulator

from limpet.device.updater.floor import Floor
from limpet.device.updater.repository import Repository
from limpet.errors import Rejected, Unavailable
from limpet.wire.codec import encode_json
from limpet.wire.rollout import Plan, PlanState, plan_path

__all__ = ["ROLES", "read_metadata", "seed"]

ROLES = ("root", "timestamp", "snapshot", "targets", RELEASES, ROLLOUT)


@functools.cache
def _vendor() -> RepositorySimulator:
    vendor = RepositorySimulator()
    idle = Plan(model=MODEL, state=PlanState.IDLE, issued_at=NOW)
    vendor.add_target(ROLLOUT, plan_path(MODEL), encode_json(idle))
    vendor.publish()
    return vendor


def seed(role: str) -> bytes:
    """An input that changes nothing: the number of the role, and what it signs."""
    return bytes([ROLES.index(role)]) + json.dumps(document_of(_vendor(), role)).encode()


def read_metadata(data: bytes) -> None:
    """Signed, if it is JSON; else as it is."""
    vendor, role = _vendor(), ROLES[(data[0] if data else 1) % len(ROLES)]
    content = data[1:]
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        metadata = content
    else:
        metadata = signed_anew(vendor, role, document)
    source = serving(published_anew(vendor, role, metadata))
    with tempfile.TemporaryDirectory() as place:
        client = Repository(
            source, model=MODEL, directory=Path(place), trusted_root=vendor.trusted_root
        )
        said = ("-", "-")
        try:
            client.look(Floor(time=NOW), now=NOW, keep=lambda floor: None)
        except (Rejected, Unavailable) as error:
            said = (error.reason, error.message)
        assert all(said)
        assert "".join(said).isprintable()
