"""R5.2: security bugs can be reported easily and free of charge."""

from limpet.audit.check import Check, Means
from limpet.audit.finding import Finding, attempt, combine_any
from limpet.audit.instruments.device import read_security_contact
from limpet.audit.instruments.service import read_pages
from limpet.audit.judgements.documents import judge_contact
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


WELL_KNOWN = "/.well-known/security.txt"


def run(target: Target) -> Finding:
    """security.txt (RFC 9116) at the vendor and on the device."""
    return combine_any(
        attempt("service", lambda: _judge_vendor(target)),
        attempt("device", lambda: _judge_device(target)),
    )


def _judge_vendor(target: Target) -> Finding:
    return judge_contact(target.observe(read_pages)[WELL_KNOWN], target.now(), "vendor")


def _judge_device(target: Target) -> Finding:
    return judge_contact(target.observe(read_security_contact), target.now(), "device")


CHECK = Check(
    statement="R5.2",
    section="5.2",
    means=(
        Means.SERVICE,
        Means.NETWORK,
    ),
    run=run,
)
