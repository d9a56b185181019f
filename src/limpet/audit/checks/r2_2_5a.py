"""R2.2.5a: each device has credentials of its own."""

from limpet.audit.check import Check, Input, Means, Stage
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.guessing import try_known_credentials
from limpet.audit.instruments.service import read_factory
from limpet.audit.judgements.access import judge_known_credentials
from limpet.audit.judgements.devices import judge_factory
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Credentials that everybody knows, and the factory's record of each device."""
    return combine_all(
        attempt("device", lambda: _judge_known(target)),
        attempt("factory", lambda: judge_factory(target.observe(read_factory))),
    )


def _judge_known(target: Target) -> Finding:
    endpoint = target.fresh or target.need(target.device, "device URL")
    return judge_known_credentials(try_known_credentials(target, endpoint))


CHECK = Check(
    statement="R2.2.5a",
    section="2.2.5",
    means=(
        Means.NETWORK,
        Means.SERVICE,
    ),
    run=run,
    needs=(Input.DEVICE,),
    stage=Stage.GUESSING,
)
