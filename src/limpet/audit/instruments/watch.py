"""The vendor's public record of its watch over published releases.

Owns finding it: over the service, or in the vendor's directory. The record is not signed; what
stands behind it is TLS with the service's root, and the auditor's look at the releases themselves.
"""

from limpet.audit.instruments.http import converse_with_vendor
from limpet.audit.target import Target
from limpet.errors import Unavailable
from limpet.storage import read_bounded
from limpet.wire.codec import decode_json
from limpet.wire.watch import WATCH_BYTES, WATCH_FILE, WatchRecord

__all__ = ["read_watch"]


def read_watch(target: Target) -> WatchRecord:
    """The record. Raises `Unavailable` where nothing is recorded, `Rejected` if it is none."""
    if target.vendor is not None and target.service_root_pem is not None:
        with converse_with_vendor(target) as vendor:
            answer = vendor.ask("GET", f"/{WATCH_FILE}")
        if answer.status != 200:
            raise Unavailable(f"/{WATCH_FILE} answered {answer.status}: no look is recorded")
        return decode_json(answer.body, WatchRecord, max_bytes=WATCH_BYTES)
    file = target.need(target.vendor_dir, "--vendor-url") / "public" / WATCH_FILE
    if not file.is_file():
        raise Unavailable("the vendor's directory has no record of a look")
    data = read_bounded(file, max_bytes=WATCH_BYTES)
    return decode_json(data, WatchRecord, max_bytes=WATCH_BYTES)
