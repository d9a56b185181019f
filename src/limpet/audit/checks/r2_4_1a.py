"""R2.4.1a: the vendor offers automatic firmware updates."""

from limpet.audit.check import Check, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.host import read_device_log
from limpet.audit.instruments.policy import read_update_status
from limpet.audit.instruments.repository import read_repository
from limpet.audit.judgements.updates import judge_last_check, judge_mechanism
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """A repository that verifies from the root down, and a device that looks at it."""
    parts = [
        attempt("service", lambda: judge_mechanism(target.observe(read_repository), target.now()))
    ]
    if target.token is not None:
        parts.append(attempt("device", lambda: _judge_device(target)))
    return combine_all(*parts)


def _judge_device(target: Target) -> Finding:
    log = target.observe(read_device_log) if target.device_dir is not None else None
    return judge_last_check(target.observe(read_update_status), log)


CHECK = Check(
    statement="R2.4.1a",
    section="2.4.1",
    means=(
        Means.NETWORK,
        Means.SERVICE,
    ),
    run=run,
)
