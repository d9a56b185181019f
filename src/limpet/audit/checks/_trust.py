"""Whether a device shows a certificate that the product's clients accept: asked by several checks.

Owns the gathering: what it says of itself matters only where a client refuses it.
"""

from limpet.audit.finding import Finding
from limpet.audit.instruments.device import read_identity
from limpet.audit.instruments.tls import survey_device, trust_device
from limpet.audit.judgements.tls import judge_device_trust, judge_trust
from limpet.audit.target import Target
from limpet.errors import LimpetError

__all__ = ["judge_device"]


def judge_device(target: Target) -> Finding:
    """The finding on the device's certificate. A device that says nothing of itself is a claimed
    one: its silence excuses nothing."""
    trust = target.observe(trust_device)
    if trust.by_own_root:
        return judge_trust(trust)
    try:
        identity = target.observe(read_identity)
        chain = target.observe(survey_device).chain
    except (LimpetError, OSError):
        return judge_trust(trust)
    return judge_device_trust(trust, chain, identity)
