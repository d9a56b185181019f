"""R2.3.4: encryption resists a man in the middle, in both directions."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.checks._trust import judge_device
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.device import read_identity
from limpet.audit.instruments.impostor import meet_impostor
from limpet.audit.instruments.tls import survey_device, trust_vendor
from limpet.audit.judgements.devices import judge_impostor
from limpet.audit.judgements.tls import judge_serial, judge_trust
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Clients with the right root and with others; a device that meets a false vendor."""
    return combine_all(
        attempt("clients", lambda: judge_device(target)),
        attempt("identity", lambda: _judge_serial(target)),
        attempt("service", lambda: judge_trust(target.observe(trust_vendor))),
        attempt("device", lambda: judge_impostor(target.observe(meet_impostor))),
    )


def _judge_serial(target: Target) -> Finding:
    return judge_serial(target.observe(survey_device).chain, target.observe(read_identity))


CHECK = Check(
    statement="R2.3.4",
    section="2.3.4",
    means=(
        Means.NETWORK,
        Means.SERVICE,
    ),
    run=run,
    needs=(
        Input.DEVICE,
        Input.DEVICE_ROOT,
    ),
    seconds=15.0,
)
