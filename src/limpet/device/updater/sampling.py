"""Whether this device reports on the release that it is offered (docs/adr/0137).

Pure. The share and who always reports are in the signed manifest; the plan can add to both.
"""

from limpet.device.updater.repository import Offer
from limpet.errors import Rejected
from limpet.wire.codec import decode_json
from limpet.wire.release import MANIFEST_BYTES, ReleaseManifest
from limpet.wire.rollout import is_reporting

__all__ = ["decide_sampled"]


def decide_sampled(offer: Offer, device_id: str) -> bool:
    """Whether the vendor is told of what becomes of this offer; of a manifest that cannot be read
    it is always told."""
    if offer.manifest is None:
        return True
    try:
        manifest = decode_json(offer.manifest, ReleaseManifest, max_bytes=MANIFEST_BYTES)
    except Rejected:
        return True
    return is_reporting(manifest, offer.plan, device_id)
